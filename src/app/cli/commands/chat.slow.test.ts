import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChatEvent, ChatMessage, ChatOptions } from '../../../align/evaluation/chat.ts';
import { saveTinyModel, tinyConfig } from '../../../align/run/testing/tiny-run.ts';
import { saveModel } from '../../../language/checkpoint/checkpoint.ts';
import { type Outcome, runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-chat-command-'));
  const model = await saveTinyModel(join(folder, 'plain'), tinyConfig('llama', { maxPositions: 512 }));
  const files = model.tokenizerFiles!;
  const template =
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
  const configuration = { ...files['tokenizer_config.json'], chat_template: 'overridden' };
  const tokenizerFiles = {
    ...files,
    'tokenizer_config.json': configuration,
    'chat_template.jinja': new TextEncoder().encode(template),
  };
  await saveModel(join(folder, 'chatty'), { ...model, tokenizerFiles });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** With these lines on stdin. */
async function chat(model: string, lines: string, ...words: string[]): Promise<Outcome> {
  const all = ['chat', '--model', model, '--max-tokens', '8', '--threads', '1', ...words];
  const child = spawn(process.execPath, [resolve('bin/heed.js'), ...all], { cwd: folder });
  const [out, err] = [child.stdout, child.stderr].map((stream) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    return () => Buffer.concat(chunks).toString();
  });
  child.stdin.end(lines);
  const [code] = await once(child, 'close');
  return { code, stdout: out(), stderr: err() };
}

/** What heed generate answers to a row. */
async function generated(model: string, row: object, seed: number, temperature: number): Promise<string> {
  writeFileSync(join(folder, 'row.jsonl'), `${JSON.stringify(row)}\n`);
  const words = ['generate', '--model', model, '--data', 'row.jsonl', '--max-tokens', '8', '--json'];
  const settings = ['--seed', String(seed), '--temperature', String(temperature)];
  const { stdout } = await runHeed([...words, ...settings], folder);
  return JSON.parse(stdout).completions[0].text;
}

describe('heed chat', () => {
  it('answers each line as heed generate does, and its transcript is what it printed', async () => {
    const lines = 'red cat\n\n/temperature 0\n  blue dog\n/quit\nnever asked\n';
    const plain = await chat('plain', lines, '--seed', '4', '--temperature', '1');
    const json = await chat('plain', lines, '--seed', '4', '--temperature', '1', '--json');
    expect([plain.code, json.code]).toEqual([0, 0]);
    const { turns, template, model, tokens_generated } = JSON.parse(json.stdout);
    const answers = [
      await generated('plain', { instruction: 'red cat' }, 4, 1),
      await generated('plain', { instruction: 'blue dog' }, 5, 0),
    ];
    expect(turns).toMatchObject([
      { conversation: 1, prompt: 'red cat', answer: answers[0], temperature: 1, tokens: 8 },
      { conversation: 1, prompt: 'blue dog', answer: answers[1], temperature: 0, finish: 'length' },
    ]);
    expect([template, model, tokens_generated]).toEqual(['alpaca', 'plain', 16]);
    const printable = (text: string) => !/[^\n\t\x20-\x7e]/.test(text);
    if (answers.every(printable)) expect(plain.stdout).toBe(`${answers.join('\n')}\n`);
    expect(json.stdout.trimEnd().split('\n')).toHaveLength(1);
  });

  it('remembers the conversation where the model has a chat template, until /reset', async () => {
    const { stdout } = await chat('chatty', 'red\nblue\n/reset\nblue\n', '--temperature', '0', '--json');
    const { turns, template } = JSON.parse(stdout);
    const answers = turns.map(({ answer }: { answer: string }) => answer);
    const history = [
      { role: 'user', content: 'red' },
      { role: 'assistant', content: answers[0] },
      { role: 'user', content: 'blue' },
    ];
    expect(template).toBe('chat');
    expect(answers[1]).toBe(await generated('chatty', { messages: history }, 0, 0));
    expect(answers[2]).toBe(await generated('chatty', { messages: history.slice(2) }, 0, 0));
    expect(turns.map(({ conversation }: { conversation: number }) => conversation)).toEqual([1, 1, 2]);
  });

  it('leaves the oldest exchanges out when the context is full, and says when a message alone fills it', async () => {
    const lines = `${'red cat '.repeat(100)}\n${'blue dog '.repeat(100)}\n${'sun moon '.repeat(400)}\nhi\n`;
    const { code, stdout, stderr } = await chat('chatty', lines, '--json');
    expect(code).toBe(0);
    expect(stderr).toMatch(/the first 2 messages no longer fit and are dropped/);
    expect(stderr).toMatch(/warning: the prompt's \d+ tokens fill the context of 512/);
    expect(JSON.parse(stdout).turns.map(({ prompt }: { prompt: string }) => prompt.slice(0, 3))).toEqual([
      ...['red', 'blu', 'hi'],
    ]);
  });

  it('names what it cannot obey and goes on', async () => {
    const { code, stdout, stderr } = await chat('plain', '/temprature 1\n/temperature -1\n/help\n', '--json');
    expect([code, JSON.parse(stdout).turns]).toEqual([0, []]);
    expect(stderr).toContain('warning: unknown command /temprature. Try /temperature.');
    expect(stderr).toContain('warning: /temperature: expected a number, at least 0, got -1');
    expect(stderr).toContain('Ctrl-C stops an answer.');
  });

  it('ends with exit code 1 and one line where there is no such model', async () => {
    const { code, stderr } = await chat('nowhere', 'hi\n');
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^error: nowhere: expected a model's folder.*\n$/),
    ]);
  });
});

describe("heed chat's job", () => {
  it('stops an answer when interrupted, keeps what was said, and answers on', async () => {
    // The engine process needs built modules.
    const built = (path: string) => pathToFileURL(resolve('dist', path)).href;
    const { startJob } = (await import(
      /* @vite-ignore */ built('engine/runtime/job.js')
    )) as typeof import('../../../engine/runtime/job.ts');
    const payload: ChatOptions = {
      ...{ model: join(folder, 'plain'), template: 'none', maxTokens: 400, device: 'cpu', threads: 1 },
    };
    const events: ChatEvent[] = [];
    const ask = (content: string): ChatMessage => ({
      ...{ type: 'ask', messages: [{ role: 'user', content }], temperature: 0, seed: 0 },
    });
    const job = startJob<ChatEvent, object, ChatMessage>(
      { module: built('align/evaluation/chat.js'), name: 'chat', payload },
      {
        onEvent(event) {
          events.push(event);
          if (event.type === 'text' && events.filter(({ type }) => type === 'text').length === 3) {
            job.send({ type: 'interrupt' });
          }
          if (event.type === 'answered' && event.finish !== 'interrupted') job.close();
          else if (event.type === 'answered') job.send(ask('x '.repeat(250)));
        },
      },
    );
    job.send(ask('red cat'));
    await job.result;
    const texts = events.flatMap((event) => (event.type === 'text' ? [event.text] : []));
    const answers = events.filter((event) => event.type === 'answered');
    expect(answers.map(({ finish }) => finish)).toEqual(['interrupted', 'length']);
    expect(answers[0].tokens).toBeLessThan(400);
    expect(answers.map(({ text }) => text).join('')).toBe(texts.join(''));
  });
});
