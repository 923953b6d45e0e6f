import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { UserError } from '../../engine/errors.ts';
import { fromStored } from '../../language/stored-names.ts';
import { AppendLog } from './append-log.ts';
import { type RunEvent, RunEvents } from './events.ts';
import { RunFolder } from './run-folder.ts';

let root: string;
let warnings: string[];
const opened: RunFolder[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-run-'));
  warnings = [];
});
afterEach(() => {
  for (const folder of opened.splice(0)) folder.close();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

function open(options: Record<string, unknown> = {}, resume = false, name = 'run'): RunFolder {
  const recipe = { command: 'sft', options: { seed: 1, maxSteps: 4, learningRate: 1e-4, ...options } };
  const onWarning = (message: string) => warnings.push(message);
  const folder = RunFolder.open({ path: join(root, name), recipe, resume, onWarning });
  opened.push(folder);
  return folder;
}

function close(folder: RunFolder): void {
  opened.splice(opened.indexOf(folder), 1);
  folder.close();
}

const step = (n: number): RunEvent => ({
  type: 'step',
  step: n,
  epoch: n / 4,
  loss: 3 / n,
  tokens: 100 * n,
  tokensPerSecond: 50,
  gradientNorm: 1,
  learningRate: 1e-4,
});

/** Four steps, a sample at every second, a checkpoint after every second; stops before `until`. */
function* training(from: number, until: number): Generator<RunEvent> {
  if (from === 0) yield { type: 'started', step: 0, command: 'sft', totalSteps: 4, device: 'cpu' };
  else yield { type: 'resumed', step: from, totalSteps: 4, device: 'cpu' };
  for (let n = from + 1; n <= Math.min(4, until); n++) {
    yield step(n);
    if (n % 2 === 1) continue;
    yield { type: 'sample', step: n, prompt: 'Say "안녕".\n', completion: `hello ${n}` };
    yield { type: 'checkpoint', step: n, path: `checkpoints/${n}` };
  }
  if (until > 4) yield { type: 'finished', step: 4, tokens: 400, seconds: 1, outcome: 'done' };
}

function play(folder: RunFolder, from: number, until: number): void {
  folder.continueFrom(from);
  for (const event of training(from, until)) folder.record(event);
}

function log(name: string, file: string): object[] {
  const lines = readFileSync(join(root, name, file), 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => {
    const { time, ...rest } = fromStored(JSON.parse(line)) as { time: string };
    expect(Date.parse(time)).toBeGreaterThan(0);
    return rest;
  });
}

describe('the run folder', () => {
  it('writes the recipe in the words of the command line', () => {
    open({ data: ['a.jsonl', 'b.jsonl'], adapter: undefined });
    expect(parse(readFileSync(join(root, 'run', 'recipe.yaml'), 'utf8'))).toEqual({
      command: 'sft',
      seed: 1,
      'max-steps': 4,
      'learning-rate': 1e-4,
      data: ['a.jsonl', 'b.jsonl'],
    });
  });

  it('keeps events and samples apart, each a line with time and step', () => {
    play(open(), 0, 5);
    expect(log('run', 'events.jsonl').map((line) => (line as RunEvent).type)).toEqual([
      ...['started', 'step', 'step', 'checkpoint', 'step', 'step', 'checkpoint', 'finished'],
    ]);
    expect(log('run', 'samples.jsonl')).toContainEqual({
      type: 'sample',
      step: 4,
      prompt: 'Say "안녕".\n',
      completion: 'hello 4',
    });
  });

  it('names what it stores in snake_case', () => {
    play(open(), 0, 1);
    const [started, step] = readFileSync(join(root, 'run', 'events.jsonl'), 'utf8').split('\n');
    expect(JSON.parse(started)).toMatchObject({ total_steps: 4 });
    expect(JSON.parse(step)).toMatchObject({ tokens_per_second: 50, gradient_norm: 1, learning_rate: 1e-4 });
  });

  it.each([
    ['in the middle of a line', 3, '{"time":"2026-01-01","step":4,"ty'],
    ['after the last step', 4, ''],
    ['after it had finished', 5, ''],
    ['between steps', 3, ''],
  ])('gives the log of an uninterrupted run when killed %s', (_, until, torn) => {
    play(open({}, false, 'whole'), 0, 5);
    const killed = open();
    play(killed, 0, until);
    close(killed);
    appendFileSync(join(root, 'run', 'events.jsonl'), torn);

    play(open({}, true), 2, 5);
    expect(log('run', 'events.jsonl')).toEqual(log('whole', 'events.jsonl'));
    expect(log('run', 'samples.jsonl')).toEqual(log('whole', 'samples.jsonl'));
  });

  it.skipIf(process.platform !== 'linux')(
    'is free when its holder was killed and nobody has buried it',
    async () => {
      // The shell would bury its child: it has to be another program by the time that this one dies.
      const shell = spawn('sh', ['-c', 'sleep 30 & echo $!; exec sleep 30']);
      children.push(shell);
      const [output] = await once(shell.stdout, 'data');
      const [pid, heartbeat] = [Number(String(output)), new Date().toISOString()];
      const read = (of: number | undefined, file: string) => readFileSync(`/proc/${of}/${file}`, 'utf8');
      while (read(shell.pid, 'comm').trim() !== 'sleep') await setTimeout(5);
      process.kill(pid, 'SIGKILL');
      while (!read(pid, 'stat').includes(') Z ')) await setTimeout(5);
      close(open());
      writeFileSync(
        join(root, 'run', 'heed.lock'),
        `${JSON.stringify({ pid, host: hostname(), heartbeat })}\n`,
      );
      expect(() => open({}, true)).not.toThrow();
    },
  );

  it('starts its logs again when resumed before the first checkpoint', () => {
    play(open({}, false, 'whole'), 0, 5);
    const killed = open();
    play(killed, 0, 1);
    close(killed);
    play(open({}, true), 0, 5);
    expect(log('run', 'events.jsonl')).toEqual(log('whole', 'events.jsonl'));
  });

  it('adds nothing when a finished run is resumed at its end', () => {
    const first = open();
    play(first, 0, 5);
    const before = log('run', 'events.jsonl');
    close(first);
    play(open({}, true), 4, 5);
    expect(log('run', 'events.jsonl')).toEqual(before);
  });

  it('refuses to start a run over another one, and leaves that one as it was', () => {
    const first = open();
    play(first, 0, 5);
    close(first);
    const before = readFileSync(join(root, 'run', 'events.jsonl'), 'utf8');
    expect(() => open()).toThrow(/the folder of another run\. Try another --out, or --resume/);
    expect(readFileSync(join(root, 'run', 'events.jsonl'), 'utf8')).toBe(before);
    expect(readdirSync(join(root, 'run')).sort()).toEqual([
      ...['checkpoints', 'events.jsonl', 'recipe.yaml', 'samples.jsonl'],
    ]);
  });

  it("refuses a folder of someone else's files, resumed or not", () => {
    writeFileSync(join(root, 'thesis.doc'), 'irreplaceable');
    expect(() => open({}, false, '.')).toThrow(/a folder that holds thesis\.doc/);
    expect(() => open({}, true, '.')).toThrow(/expected the folder of a run to resume/);
    expect(readdirSync(root)).toEqual(['thesis.doc']);
  });

  it('refuses to resume what does not exist', () => {
    expect(() => open({}, true)).toThrow(/no such folder\. Try without --resume/);
    expect(existsSync(join(root, 'run'))).toBe(false);
  });

  it('names the words in which a resumed recipe differs', () => {
    close(open());
    expect(() => open({ learningRate: 2e-4, seed: 3 }, true)).toThrow(/another seed, learning-rate/);
    expect(() => open({ packing: true }, true)).toThrow(/another packing/);
    expect(() => open({ threads: 7, resume: true }, true)).not.toThrow();
  });

  it('refuses a recipe.yaml that is not a recipe', () => {
    close(open());
    writeFileSync(join(root, 'run', 'recipe.yaml'), 'seed: [1');
    expect(() => open({}, true)).toThrow(/recipe\.yaml: expected a readable recipe/);
  });

  it('says at once that a folder cannot be made', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => open({}, false, 'file/run')).toThrow(/written, flushed and renamed, got ENOTDIR/);
  });

  it.skipIf(process.getuid?.() === 0)(
    'says at once that a folder is read-only (root may always write)',
    () => {
      chmodSync(root, 0o500);
      expect(() => open()).toThrow(/written, flushed and renamed, got EACCES/);
      chmodSync(root, 0o700);
    },
  );
});

describe('the lease of a run folder', () => {
  const lockPath = () => join(root, 'run', 'heed.lock');

  it('refuses a second run and names the process', () => {
    open();
    expect(() => open({}, true)).toThrow(`a run held by process ${process.pid} on ${hostname()}`);
  });

  it('is taken from a process that was killed', async () => {
    close(open());
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    children.push(child);
    writeFileSync(lockPath(), JSON.stringify({ pid: child.pid, host: hostname() }));
    expect(() => open({}, true)).toThrow(`process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    open({}, true);
    expect(JSON.parse(readFileSync(lockPath(), 'utf8')).pid).toBe(process.pid);
  });

  it('is taken when its number belongs to a later process', () => {
    close(open());
    writeFileSync(
      lockPath(),
      JSON.stringify({ pid: process.pid, processStart: 'long ago', host: hostname() }),
    );
    expect(() => open({}, true)).not.toThrow();
  });

  it('of another host is respected while it beats, and taken after an hour of silence', () => {
    close(open());
    writeFileSync(lockPath(), JSON.stringify({ pid: 1, host: 'elsewhere' }));
    expect(() => open({}, true)).toThrow('process 1 on elsewhere');
    const longAgo = Date.now() / 1000 - 3600;
    utimesSync(lockPath(), longAgo, longAgo);
    expect(() => open({}, true)).not.toThrow();
  });

  it('is taken although a takeover of it was killed, once that is sure', () => {
    close(open());
    writeFileSync(
      lockPath(),
      JSON.stringify({ pid: process.pid, processStart: 'long ago', host: hostname() }),
    );
    const guard = `${lockPath()}.stealing`;
    mkdirSync(guard);
    expect(() => open({}, true)).toThrow(
      /got another process taking over a dead run\. Try again in a minute/,
    );
    const minutesAgo = Date.now() / 1000 - 120;
    utimesSync(guard, minutesAgo, minutesAgo);
    open({}, true);
    expect(JSON.parse(readFileSync(lockPath(), 'utf8')).pid).toBe(process.pid);
    expect(existsSync(guard)).toBe(false);
  });

  it('is gone once the run is closed', () => {
    close(open());
    expect(existsSync(lockPath())).toBe(false);
  });

  it('that was lost forbids the next checkpoint', () => {
    const silent = open();
    silent.continueFrom(0);
    rmSync(lockPath());
    open({}, true).continueFrom(0);
    silent.record(step(1));
    const commit = () => silent.record({ type: 'checkpoint', step: 1, path: 'checkpoints/1' });
    expect(commit).toThrow(UserError);
    close(silent);
    expect(existsSync(lockPath())).toBe(true);
  });
});

describe('a log on a full disk', () => {
  it.skipIf(!existsSync('/dev/full'))('warns once and goes on (needs /dev/full)', () => {
    const log = new AppendLog('/dev/full', (message) => warnings.push(message));
    for (let n = 0; n < 3; n++) log.append({ type: 'step', step: n });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/lines are being lost, the run goes on \(ENOSPC/);
    log.close();
  });
});

describe('run events', () => {
  it('reach every subscriber until it leaves', () => {
    const events = new RunEvents();
    const heard: string[] = [];
    events.subscribe((event) => heard.push(`folder ${event.step}`));
    const leave = events.subscribe((event) => heard.push(`terminal ${event.step}`));
    events.emit(step(1));
    leave();
    events.emit(step(2));
    expect(heard).toEqual(['folder 1', 'terminal 1', 'folder 2']);
  });
});
