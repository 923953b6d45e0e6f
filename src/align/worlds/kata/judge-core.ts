// Judges an answer's code: runs it against hidden tests in QuickJS, compiled to WebAssembly.
//
// Every answer gets a runtime of its own, so that nothing it does outlives it. What it may use up is counted, not
// timed: steps through the interrupt handler (called after every 10,000 jumps and calls, and by regular expressions),
// memory and stack in bytes; so a verdict is the same on every machine. Expected values never enter the sandbox, and
// what is needed to call `solve` and to read its result is set aside before the answer runs.
//
// Some built-in functions run long between two counts; those of arrays and strings refuse more than LONGEST items.
// Whatever else runs long is ended by the pool's wall clock, with an error (judge.ts).

import {
  newQuickJSWASMModule,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
  type QuickJSWASMModule,
  RELEASE_SYNC,
} from 'quickjs-emscripten';
import { codeOf } from './answer-code.ts';
import type { Value } from './meaning.ts';
import type { KataTest } from './problem.ts';

export interface Limits {
  /** Interrupt counts for all tests of an answer; one is 10,000 jumps or calls. */
  interrupts: number;
  memoryBytes: number;
  stackBytes: number;
}

/** The stack is small enough that QuickJS's own limit is met before the host's, whose size differs by machine. */
export const defaultLimits: Limits = { interrupts: 40, memoryBytes: 4 << 20, stackBytes: 64 << 10 };

export type Failure = 'syntax' | 'no-function' | 'exception' | 'wrong' | 'steps' | 'memory';

export interface Verdict {
  passed: boolean;
  passedTests: number;
  tests: number;
  /** Why the first test that failed did so; absent when all passed. */
  failure?: Failure;
}

export interface JudgeRequest {
  answer: string;
  tests: readonly KataTest[];
}

/** Array and string functions refuse more items than this. */
const LONGEST = 20_000;
const longArrayFunctions =
  'indexOf lastIndexOf includes join toString reverse fill sort concat slice splice flat copyWithin shift unshift ' +
  'toReversed toSorted toSpliced with';
const longStringFunctions =
  'indexOf lastIndexOf includes split replace replaceAll search match concat localeCompare';
const LONGEST_ANSWER = 16_000;
/** Brackets in brackets; more would overflow the host's stack in the parser, and so depend on the machine. */
const DEEPEST = 60;

// What the language offers without its clock, its random numbers and what no small exercise needs: an answer that
// uses these fails with an exception.
const intrinsics = {
  BaseObjects: true,
  Eval: true,
  JSON: true,
  MapSet: true,
  // Without it an async function corrupts the sandbox.
  Promise: true,
  RegExp: true,
  RegExpCompiler: true,
};

/** Evaluates to `call(function, arguments as JSON)`, which gives the result as the text that `readResult` reads. */
const prelude = `(() => {
  'use strict';
  const { parse, stringify } = JSON;
  const { isArray } = Array;
  const { apply } = Reflect;
  const { defineProperty } = Object;
  const fail = RangeError;
  const check = (value) => {
    if ((typeof value === 'string' || (typeof value === 'object' && value !== null)) && value.length > ${LONGEST}) {
      throw new fail('too long');
    }
  };
  const guard = (prototype, names) => {
    for (const name of names.split(' ')) {
      const native = prototype[name];
      const value = { [name](...values) {
        check(this);
        for (let i = 0; i < values.length && i < 4; i++) check(values[i]);
        return apply(native, this, values);
      } }[name];
      defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false });
    }
  };
  guard(Array.prototype, '${longArrayFunctions}');
  guard(String.prototype, '${longStringFunctions}');
  delete Math.random;
  // Printing is allowed, and goes nowhere.
  const print = () => undefined;
  globalThis.console = { log: print, info: print, warn: print, error: print, debug: print };
  const read = (value, depth) => {
    if (typeof value === 'number') {
      return value !== value ? '{"number":"NaN"}'
        : value === 1 / 0 ? '{"number":"Infinity"}'
        : value === -1 / 0 ? '{"number":"-Infinity"}' : '' + value;
    }
    if (typeof value === 'string') return stringify(value);
    if (typeof value === 'boolean') return value ? 'true' : 'false';
    if (value === null) return 'null';
    if (!isArray(value) || depth > 8) return '{"other":true}';
    let text = '[';
    const { length } = value;
    check(value);
    for (let i = 0; i < length; i++) text += (i > 0 ? ',' : '') + read(value[i], depth + 1);
    return text + ']';
  };
  return (solve, json) => read(apply(solve, undefined, parse(json)), 0);
})()`;

let module: QuickJSWASMModule | undefined;

/**
 * Judges one answer in this thread. `solve` must be declared at the top, as a function or a variable.
 * Results are compared by structure: −0 equals 0, NaN equals nothing but NaN, numbers may differ by 1e-9 of their
 * size, and an array, string, number or boolean only equals its like.
 */
export async function judgeInProcess(
  request: JudgeRequest,
  limits: Limits = defaultLimits,
): Promise<Verdict> {
  module ??= await openSandbox();
  const code = codeOf(request.answer);
  if (code.length > LONGEST_ANSWER || nestingOf(code) > DEEPEST) return failed('syntax', request, 0);
  try {
    return judgeWith(module, code, request, limits);
  } catch (error) {
    // The host ran out of stack, or the sandbox trapped: a new one is needed.
    module = undefined;
    if (error instanceof Error && (error.name === 'RangeError' || error.name === 'RuntimeError')) {
      return failed('exception', request, 0);
    }
    throw error;
  }
}

// The types of this project's target lack it.
interface WithWebAssembly {
  WebAssembly: { Memory: new (pages: { initial: number; maximum: number }) => object };
}

/** With at most 64 MiB for everything (a page is 64 KiB). */
function openSandbox(): Promise<QuickJSWASMModule> {
  const { WebAssembly } = globalThis as unknown as WithWebAssembly;
  const wasmMemory = new WebAssembly.Memory({ initial: 256, maximum: 1024 });
  return newQuickJSWASMModule(newVariant(RELEASE_SYNC, { wasmMemory }));
}

function nestingOf(code: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of code) {
    if ('([{'.includes(character)) deepest = Math.max(deepest, ++depth);
    else if (')]}'.includes(character)) depth--;
  }
  return deepest;
}

function failed(failure: Failure, { tests }: JudgeRequest, passedTests: number): Verdict {
  return { passed: false, passedTests, tests: tests.length, failure };
}

function judgeWith(sandbox: QuickJSWASMModule, code: string, request: JudgeRequest, limits: Limits): Verdict {
  const runtime = sandbox.newRuntime();
  const meter = new Meter(runtime, limits);
  const context = runtime.newContext({ intrinsics });
  const verdict = new Trial(context, meter).run(code, request);
  context.dispose();
  runtime.dispose();
  return verdict;
}

/** Counts what an answer uses up, and interrupts it for good when that is too much. */
class Meter {
  exceeded: 'steps' | 'memory' | undefined;
  private interrupts = 0;
  private readonly runtime: QuickJSRuntime;
  private readonly limits: Limits;

  constructor(runtime: QuickJSRuntime, limits: Limits) {
    this.runtime = runtime;
    this.limits = limits;
    runtime.setMemoryLimit(limits.memoryBytes);
    runtime.setMaxStackSize(limits.stackBytes);
    runtime.setInterruptHandler(() => this.isTooMuch());
  }

  private isTooMuch(): boolean {
    // QuickJS's own limit sees only single allocations in WebAssembly, so the sum is taken here, now and then.
    if (++this.interrupts > this.limits.interrupts) this.exceeded ??= 'steps';
    else if (this.interrupts > 1 && this.usedBytes() > this.limits.memoryBytes) this.exceeded ??= 'memory';
    return this.exceeded !== undefined;
  }

  private usedBytes(): number {
    return Number(/^memory used +\d+ +(\d+)/m.exec(this.runtime.dumpMemoryUsage())?.[1] ?? 0);
  }
}

type Outcome = { value: QuickJSHandle } | { failure: Failure };

class Trial {
  private readonly context: QuickJSContext;
  private readonly meter: Meter;

  constructor(context: QuickJSContext, meter: Meter) {
    this.context = context;
    this.meter = meter;
  }

  run(code: string, request: JudgeRequest): Verdict {
    const call = this.evaluate(prelude);
    if ('failure' in call) throw new Error(`the judge's own code failed: ${call.failure}`);
    const loaded = this.evaluate(code);
    if ('failure' in loaded) return this.dispose(call.value, failed(loaded.failure, request, 0));
    loaded.value.dispose();
    const solve = this.evaluate("typeof solve === 'function' ? solve : undefined");
    const isFunction = 'value' in solve && this.context.typeof(solve.value) === 'function';
    const verdict = isFunction
      ? this.runTests(call.value, solve.value, request)
      : failed('no-function', request, 0);
    if ('value' in solve) solve.value.dispose();
    return this.dispose(call.value, verdict);
  }

  private dispose(call: QuickJSHandle, verdict: Verdict): Verdict {
    call.dispose();
    return verdict;
  }

  private runTests(call: QuickJSHandle, solve: QuickJSHandle, { tests }: JudgeRequest): Verdict {
    let passedTests = 0;
    let failure: Failure | undefined;
    for (const test of tests) {
      const problem = this.runTest(call, solve, test);
      if (!problem) passedTests++;
      failure ??= problem;
      if (this.meter.exceeded) break;
    }
    const passed = failure === undefined && tests.length > 0;
    return { passed, passedTests, tests: tests.length, ...(failure ? { failure } : {}) };
  }

  private runTest(call: QuickJSHandle, solve: QuickJSHandle, test: KataTest): Failure | undefined {
    const json = this.context.newString(JSON.stringify(test.input));
    const outcome = this.outcomeOf(this.context.callFunction(call, this.context.undefined, solve, json));
    json.dispose();
    if ('failure' in outcome) return outcome.failure;
    const text = this.context.getString(outcome.value);
    outcome.value.dispose();
    return isSame(JSON.parse(text), test.expected) ? undefined : 'wrong';
  }

  private evaluate(code: string): Outcome {
    return this.outcomeOf(this.context.evalCode(code, 'answer.js'));
  }

  private outcomeOf(result: ReturnType<QuickJSContext['evalCode']>): Outcome {
    if (!result.error) return { value: result.value };
    const failure = this.meter.exceeded ?? this.failureOf(result.error);
    result.error.dispose();
    return { failure };
  }

  private failureOf(error: QuickJSHandle): Failure {
    const name = this.property(error, 'name');
    if (name === 'SyntaxError') return 'syntax';
    const isMemory = name === 'InternalError' && this.property(error, 'message') === 'out of memory';
    return isMemory ? 'memory' : 'exception';
  }

  /** A property that is a string; errors may have been made by the answer, with getters that throw. */
  private property(error: QuickJSHandle, name: string): string | undefined {
    if (this.context.typeof(error) !== 'object') return undefined;
    try {
      const value = this.context.getProp(error, name);
      const text = this.context.typeof(value) === 'string' ? this.context.getString(value) : undefined;
      value.dispose();
      return text;
    } catch {
      return undefined;
    }
  }
}

function isSame(result: unknown, expected: Value): boolean {
  if (Array.isArray(expected)) {
    if (!Array.isArray(result) || result.length !== expected.length) return false;
    return expected.every((item, i) => isSame(result[i], item));
  }
  if (typeof expected !== 'number') return result === expected;
  return isSameNumber(readNumber(result), expected);
}

function readNumber(result: unknown): number | undefined {
  if (typeof result === 'number') return result;
  const special = (result as { number?: string } | null)?.number;
  return special === undefined ? undefined : Number(special);
}

function isSameNumber(result: number | undefined, expected: number): boolean {
  if (result === undefined) return false;
  if (Number.isNaN(expected) || Number.isNaN(result)) return Number.isNaN(expected) && Number.isNaN(result);
  if (!Number.isFinite(expected) || !Number.isFinite(result)) return result === expected;
  return Math.abs(result - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
}
