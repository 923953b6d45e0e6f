// QuickJS, compiled to WebAssembly that counts its own work (metered-wasm.ts).

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { newQuickJSWASMModule, newVariant, type QuickJSWASMModule, RELEASE_SYNC } from 'quickjs-emscripten';
import { fuelExport, meterWork } from './metered-wasm.ts';

export interface Sandbox {
  quickjs: QuickJSWASMModule;
  /** What may still be used up, in units of metered-wasm.ts; where it falls below 0, the call in progress traps. */
  fuel: { value: number };
}

// The types of this project's target lack it.
interface WithWebAssembly {
  WebAssembly: {
    Memory: new (pages: { initial: number; maximum: number }) => object;
    Module: new (bytes: Uint8Array) => object;
    Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
  };
}
const { WebAssembly } = globalThis as unknown as WithWebAssembly;

let compiled: object | undefined;

/** With at most 64 MiB for everything (a page is 64 KiB). */
export async function openSandbox(): Promise<Sandbox> {
  compiled ??= new WebAssembly.Module(meterWork(readFileSync(wasmFile())));
  const wasmMemory = new WebAssembly.Memory({ initial: 256, maximum: 1024 });
  let fuel: Sandbox['fuel'] | undefined;
  const instantiateWasm = (imports: object, receive: (instance: object) => void) => {
    const instance = new WebAssembly.Instance(compiled!, imports);
    fuel = instance.exports[fuelExport] as Sandbox['fuel'];
    receive(instance);
  };
  // Emscripten's own hook, which the package's types leave out.
  const emscriptenModule = { instantiateWasm } as object;
  const quickjs = await newQuickJSWASMModule(newVariant(RELEASE_SYNC, { wasmMemory, emscriptenModule }));
  return { quickjs, fuel: fuel! };
}

/** It belongs to a package that quickjs-emscripten depends on. */
function wasmFile(): string {
  const own = createRequire(import.meta.url);
  const theirs = createRequire(own.resolve('quickjs-emscripten'));
  return theirs.resolve('@jitl/quickjs-wasmfile-release-sync/wasm');
}
