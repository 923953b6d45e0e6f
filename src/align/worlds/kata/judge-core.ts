// Judges an answer's code: runs it against hidden tests in QuickJS, compiled to WebAssembly.
//
// Every answer gets a runtime of its own, so that nothing it does outlives it. What it may use up is counted, not
// timed: steps through the interrupt handler (called after every 10,000 jumps and calls, and by regular expressions),
// memory and stack in bytes; so a verdict is the same on every machine. Expected values never enter the sandbox, and
// what is needed to call `solve` and to read its result is stored before the answer runs.
//
// Built-in functions can run long between two interrupts. Some of arrays and strings refuse more than LONGEST items;
// whatever else runs long, in one call or in many, uses up the work that the sandbox counts by itself
// (metered-wasm.ts), and has then taken too many steps.

import type { QuickJSContext, QuickJSHandle, QuickJSRuntime } from 'quickjs-emscripten';
import { codeOf } from './answer-code.ts';
import type { Value } from './meaning.ts';
import type { KataTest } from './problem.ts';
import { openSandbox, type Sandbox } from './sandbox.ts';

export interface Limits {
  /** Interrupt counts for all tests of an answer; one is 10,000 jumps or calls. */
  interrupts: number;
  /** Turns of QuickJS's own loops for all tests of an answer, below 2^31; far more than its interrupts take. */
  work: number;
  memoryBytes: number;
  stackBytes: number;
}

/** The stack is small enough that QuickJS's own limit is met before the host's, whose size differs by machine. */
export const defaultLimits: Limits = {
  interrupts: 40,
  work: 1e8,
  memoryBytes: 4 << 20,
  stackBytes: 64 << 10,
};

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

let kept: Sandbox | undefined;

/**
 * Judges one answer in this thread. `solve` must be declared at the top, as a function or a variable.
 * Results are compared by structure: −0 equals 0, NaN equals nothing but NaN, numbers may differ by 1e-9 of their
 * size, and an array, string, number or boolean only equals its like.
 */
export async function judgeInProcess(
  request: JudgeRequest,
  limits: Limits = defaultLimits,
): Promise<Verdict> {
  const code = codeOf(request.answer);
  if (code.length > LONGEST_ANSWER || nestingOf(code) > DEEPEST) return failed('syntax', request, 0);
  const isFresh = kept === undefined;
  kept ??= await openSandbox();
  const { verdict, isReusable } = judgeWith(kept, code, request, limits);
  // How memory lies in a used sandbox moves the count a little, so near the limit a fresh one has the say.
  const isNearLimit = kept.fuel.value < limits.work / 2;
  if (!isReusable || isNearLimit) kept = undefined;
  return isNearLimit && !isFresh ? judgeInProcess(request, limits) : verdict;
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

/** The sandbox's fuel says afterwards what work was left; one that trapped cannot be used again. */
function judgeWith(sandbox: Sandbox, code: string, request: JudgeRequest, limits: Limits) {
  sandbox.fuel.value = limits.work;
  const runtime = sandbox.quickjs.newRuntime();
  const meter = new Meter(runtime, sandbox.fuel, limits);
  const context = runtime.newContext({ intrinsics });
  const trial = new Trial(context, meter);
  try {
    const verdict = trial.run(code, request);
    unmetered(sandbox.fuel, () => {
      context.dispose();
      runtime.dispose();
    });
    return { verdict, isReusable: true };
  } catch (error) {
    if (sandbox.fuel.value < 0) {
      return { verdict: failed('steps', request, trial.passedTests), isReusable: false };
    }
    // The host ran out of stack, or the sandbox trapped.
    if (error instanceof Error && (error.name === 'RangeError' || error.name === 'RuntimeError')) {
      return { verdict: failed('exception', request, 0), isReusable: false };
    }
    kept = undefined;
    throw error;
  }
}

/** What does not belong to the answer costs it nothing. */
function unmetered<T>(fuel: Sandbox['fuel'], run: () => T): T {
  const left = fuel.value;
  fuel.value = 2 ** 31 - 1;
  try {
    return run();
  } finally {
    fuel.value = left;
  }
}

/** Counts what an answer uses up, and interrupts it for good when that is too much. */
class Meter {
  exceeded: 'steps' | 'memory' | undefined;
  private interrupts = 0;
  private readonly runtime: QuickJSRuntime;
  private readonly fuel: Sandbox['fuel'];
  private readonly limits: Limits;

  constructor(runtime: QuickJSRuntime, fuel: Sandbox['fuel'], limits: Limits) {
    [this.runtime, this.fuel, this.limits] = [runtime, fuel, limits];
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
    const report = unmetered(this.fuel, () => this.runtime.dumpMemoryUsage());
    return Number(/^memory used +\d+ +(\d+)/m.exec(report)?.[1] ?? 0);
  }
}

type Outcome = { value: QuickJSHandle } | { failure: Failure };

class Trial {
  passedTests = 0;
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
    let failure: Failure | undefined;
    for (const test of tests) {
      const problem = this.runTest(call, solve, test);
      if (!problem) this.passedTests++;
      failure ??= problem;
      if (this.meter.exceeded) break;
    }
    const passed = failure === undefined && tests.length > 0;
    return { passed, passedTests: this.passedTests, tests: tests.length, ...(failure ? { failure } : {}) };
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
