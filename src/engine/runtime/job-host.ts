// The engine process's side of a job: loads the job's module, runs it, and reports.

import { UserError } from '../errors.ts';
import type { FromHost, JobFunction, ToHost } from './job.ts';

const controller = new AbortController();
const send = (message: FromHost) => process.send?.(message);

process.on('message', (message: ToHost) => {
  if (message.kind === 'stop') controller.abort();
  else void start(message.job);
});
// The caller has its result, or is gone: what still runs saves and stops.
process.on('disconnect', () => controller.abort());
// Ctrl-C in a terminal reaches the whole group; the caller decides and sends `stop`.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => controller.abort());

async function start(job: Extract<ToHost, { kind: 'start' }>['job']): Promise<void> {
  try {
    const module = (await import(job.module)) as Record<string, JobFunction<unknown, unknown, unknown>>;
    const emit = (event: unknown) => send({ kind: 'event', event });
    const result = await module[job.name](job.payload, { emit, signal: controller.signal });
    send({ kind: 'done', result });
  } catch (error) {
    if (error instanceof UserError) send({ kind: 'mistake', mistake: error.mistake });
    else send({ kind: 'bug', message: String(error), stack: (error as Error).stack });
  }
}
