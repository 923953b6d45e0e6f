// heed doctor: what this machine can do, and what to do about what it cannot.

import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { z } from 'zod';
import { onnxRuntime } from '../../../engine/runtime/onnx-runtime.ts';
import { resolveComputing } from '../../stages/computing.ts';
import { defineCommand } from '../command.ts';
import { type ProbedDevice, probeDevice } from '../device-probe.ts';
import type { Terminal } from '../terminal.ts';
import { visible } from '../visible.ts';

interface Check {
  name: string;
  state: 'ok' | 'warn' | 'missing';
  found: string;
  advice?: string;
  /** The measured number, in the unit that `found` names. */
  value?: number;
}

const gib = 2 ** 30;
const stateColours = { ok: 'green', warn: 'yellow', missing: 'red' } as const;

export const doctor = defineCommand({
  name: 'doctor',
  description: 'check what this machine can do: devices, memory, disk, speed',
  options: z.object({
    speed: z.boolean().default(false).describe('measure matrix multiplication on every working device'),
  }),
  async run({ speed }, terminal) {
    const checks: Check[] = [];
    const show = (check: Check) => {
      checks.push(check);
      showCheck(check, terminal);
    };
    for (const check of [node(), platform(), processor(), memory(), await disk(), runtime()]) show(check);
    if (checks.at(-1)!.state !== 'missing') {
      for (const device of ['cpu', 'webgpu', 'cuda'] as const) show(await deviceCheck(device, speed));
      show(automatic());
    }
    return { checks };
  },
});

function showCheck({ name, state, found, advice }: Check, terminal: Terminal): void {
  const label = terminal.coloured(state.padEnd(7), stateColours[state]);
  terminal.line(`${label} ${name.padEnd(12)} ${visible(found)}`);
  if (advice) terminal.line(`${' '.repeat(21)}${advice}`);
}

/** What a command takes that names no device. */
function automatic(): Check {
  const { device } = resolveComputing({ device: 'auto' });
  return { name: 'auto', state: 'ok', found: `${device} (what --device auto stands for)` };
}

function node(): Check {
  return { name: 'node', state: 'ok', found: process.version };
}

function platform(): Check {
  const found = `${process.platform} ${process.arch}`;
  const isServed = ['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64'].includes(found);
  if (isServed) return { name: 'platform', state: 'ok', found };
  return {
    name: 'platform',
    state: 'missing',
    found,
    advice: 'ONNX Runtime has no binary for it; use another machine.',
  };
}

function processor(): Check {
  const cores = availableParallelism();
  const found = `${cpus()[0]?.model.trim() || 'unknown model'}, ${cores} core${cores === 1 ? '' : 's'}`;
  return { name: 'processor', state: 'ok', found, value: cores };
}

function memory(): Check {
  const available = availableMemory() / gib;
  const found = `${available.toFixed(1)} GiB available of ${(totalmem() / gib).toFixed(1)}`;
  if (available >= 2) return { name: 'memory', state: 'ok', found, value: available };
  const advice = 'Close other programs, or train with a smaller batch.';
  return { name: 'memory', state: 'warn', found, value: available, advice };
}

/** Bytes, counting what the system would give back from its file cache. */
function availableMemory(): number {
  try {
    return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))![1]) * 1024;
  } catch {
    return freemem();
  }
}

async function disk(): Promise<Check> {
  const { bavail, bsize } = await statfs('.');
  const free = (bavail * bsize) / gib;
  const found = `${free.toFixed(1)} GiB free in ${process.cwd()}`;
  if (free >= 2) return { name: 'disk', state: 'ok', found, value: free };
  return {
    name: 'disk',
    state: 'warn',
    found,
    value: free,
    advice: 'Give --out a folder on a disk with more space.',
  };
}

function runtime(): Check {
  const require = createRequire(import.meta.url);
  try {
    const { version } = require('onnxruntime-node/package.json');
    const names = onnxRuntime()
      .listSupportedBackends()
      .map(({ name, bundled }) => (bundled ? name : `${name} (to be installed)`));
    return { name: 'onnxruntime', state: 'ok', found: `${version}: ${names.join(', ')}` };
  } catch (error) {
    const found = (error as Error).message.split('\n')[0];
    return { name: 'onnxruntime', state: 'missing', found, advice: 'Run npm install again on this machine.' };
  }
}

const deviceAdvice: { [K in ProbedDevice]: string } = {
  cpu: 'Run npm install again on this machine.',
  webgpu: 'Update the graphics driver (on Linux: a Vulkan driver), or stay with --device cpu.',
  cuda: "For an NVIDIA card run onnxruntime-node's install script, or stay with --device cpu.",
};

async function deviceCheck(device: ProbedDevice, speed: boolean): Promise<Check> {
  const { works, reason, gflops } = await probeDevice(device, speed ? 1024 : 2);
  if (!works)
    return { name: device, state: 'missing', found: reason ?? 'no answer', advice: deviceAdvice[device] };
  if (!speed) return { name: device, state: 'ok', found: 'works' };
  const found = `works: ${gflops!.toFixed(gflops! < 10 ? 1 : 0)} GFLOP/s (f32 matrix product)`;
  return { name: device, state: 'ok', found, value: gflops };
}
