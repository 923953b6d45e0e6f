import { expect, it } from 'vitest';
import { meterWork } from './metered-wasm.ts';

// The types of this project's target lack it.
interface Exports {
  spin(turns: number): void;
  fill(bytes: number): void;
  fuel: { value: number };
}
interface WithWebAssembly {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object) => { exports: Exports };
  };
}

/** Written by hand after the specification: spin(n) turns a loop n times, fill(n) fills n bytes of its memory. */
const handmade = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // Type 0 takes an i32; two functions have it; a memory of one page; a global i32.
  ...[1, 5, 1, 0x60, 1, 0x7f, 0],
  ...[3, 3, 2, 0, 0],
  ...[5, 3, 1, 0, 1],
  ...[6, 6, 1, 0x7f, 0, 0x41, 7, 0x0b],
  ...[7, 15, 2, 4, 0x73, 0x70, 0x69, 0x6e, 0, 0, 4, 0x66, 0x69, 0x6c, 0x6c, 0, 1],
  ...[10, 31, 2],
  // loop; n −= 1; if (n) continue; end
  ...[14, 0, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x0b],
  ...[13, 1, 1, 0x7e, 0x41, 0, 0x41, 1, 0x20, 0, 0xfc, 11, 0, 0x0b],
]);

function openMetered(): Exports {
  const { WebAssembly } = globalThis as unknown as WithWebAssembly;
  return new WebAssembly.Instance(new WebAssembly.Module(meterWork(handmade))).exports;
}

it('takes one unit for each turn of a loop', () => {
  const { spin, fuel } = openMetered();
  fuel.value = 1000;
  spin(300);
  expect(fuel.value).toBe(700);
});

it('takes one unit for 16 bytes that are filled', () => {
  const { fill, fuel } = openMetered();
  fuel.value = 1000;
  fill(1600);
  expect(fuel.value).toBe(900);
});

it('traps when the fuel has run out, at the same place each time', () => {
  const { spin, fuel } = openMetered();
  fuel.value = 300;
  spin(300);
  expect(fuel.value).toBe(0);
  expect(() => spin(1)).toThrow('unreachable');
});

it('refuses instructions that it does not know', () => {
  const strange = handmade.slice();
  strange[strange.length - 4] = 0xfd;
  expect(() => meterWork(strange)).toThrow('unknown WebAssembly instruction 0xfd');
});
