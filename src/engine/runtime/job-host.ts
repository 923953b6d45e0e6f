// The engine process's side of a job: loads the job's module, runs it, and reports.

import { Readable } from 'node:stream';
import { UserError } from '../errors.ts';
import type { FromHost, Job, JobFunction, ToHost } from './job.ts';

const controller = new AbortController();
/** To nobody where the caller is gone, also when it goes while the message is on its way. */
const send = (message: FromHost) => {
  if (process.connected) process.send!(message, undefined, undefined, () => {});
};
const messages = new Readable({ objectMode: true, read() {} });
let haveMessagesEnded = false;

process.on('message', (message: ToHost) => {
  if (message.kind === 'start') begin(message);
  else if (message.kind === 'message') receive(message.message);
  else if (message.kind === 'no-more-messages') endMessages();
  else stop();
});
// Ctrl-C in a terminal reaches the whole group; the caller decides and sends `stop`.
process.on('SIGINT', () => {});
process.on('SIGTERM', stop);

function begin({ job, graceMs }: Extract<ToHost, { kind: 'start' }>): void {
  // The caller has its result, or is gone: what still runs saves and stops. A kill, because a plain exit waits for
  // whatever the system is doing for this process, such as opening a pipe that nobody writes to.
  process.on('disconnect', () => {
    stop();
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), graceMs).unref();
  });
  void start(job);
}

function receive(message: unknown): void {
  // In a box, because null would end the stream.
  if (!haveMessagesEnded) messages.push({ message });
}

function endMessages(): void {
  if (!haveMessagesEnded) messages.push(null);
  haveMessagesEnded = true;
}

function stop(): void {
  endMessages();
  controller.abort();
}

async function* received(): AsyncGenerator<unknown> {
  for await (const { message } of messages) yield message;
}

async function start(job: Job): Promise<void> {
  try {
    const module = (await import(job.module)) as Record<
      string,
      JobFunction<unknown, unknown, unknown, unknown>
    >;
    const emit = (event: unknown) => send({ kind: 'event', event });
    const context = { emit, signal: controller.signal, messages: received() };
    const result = await module[job.name](job.payload, context);
    send({ kind: 'done', result, peakMemoryBytes: process.resourceUsage().maxRSS * 1024 });
  } catch (error) {
    const { aborted, reason } = controller.signal;
    if (aborted && error === reason) send({ kind: 'stopped' });
    else if (error instanceof UserError) send({ kind: 'mistake', mistake: error.mistake });
    else send({ kind: 'bug', message: String(error), stack: (error as Error).stack });
  }
}
