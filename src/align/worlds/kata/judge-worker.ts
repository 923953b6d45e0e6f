// A thread of the judge's pool: takes batches of answers, gives back their verdicts in order.

import { parentPort, workerData } from 'node:worker_threads';
import { type JudgeRequest, judgeInProcess, type Limits, type Verdict } from './judge-core.ts';

export interface Batch {
  id: number;
  requests: readonly JudgeRequest[];
}

export type BatchResult = { id: number; verdicts: Verdict[] } | { id: number; error: string };

async function judgeBatch({ id, requests }: Batch): Promise<BatchResult> {
  try {
    const verdicts: Verdict[] = [];
    for (const request of requests) verdicts.push(await judgeInProcess(request, workerData as Limits));
    return { id, verdicts };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

parentPort?.on('message', async (batch: Batch) => parentPort?.postMessage(await judgeBatch(batch)));
