// Sessions come and go for as long as a run lasts: what they took must come back.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { input, logSoftmax, matmul, rmsNorm, silu, total } from '../graph/build.ts';
import { gradients } from '../graph/gradients.ts';
import type { Outputs } from '../graph/simplify.ts';
import type { Backend, Feeds } from './backend.ts';
import { openBackend } from './onnx-backend.ts';

const [N, D] = [256, 128];

function trainingGraph(): Outputs {
  const [x, weight, scale] = [input('x', [N, D]), input('weight', [D, D]), input('scale', [D])];
  const hidden = silu(rmsNorm(matmul(x, weight), scale, 1e-5));
  const loss = total(logSoftmax(matmul(hidden, weight)));
  const [toWeight, toScale] = gradients(loss, [weight, scale]);
  return { loss, toWeight, toScale };
}

const feeds: Feeds = {
  x: new Float32Array(N * D).fill(0.1),
  weight: new Float32Array(D * D).fill(0.01),
  scale: new Float32Array(D).fill(1),
};

async function buildAndRun(backend: Backend, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const program = await backend.compile(trainingGraph());
    await program.run(feeds);
    await program.release();
    collect();
  }
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const residentMegabytes = (): number => {
  collect();
  return process.memoryUsage().rss / 2 ** 20;
};

it('takes at most 1.10 times the memory after 200 sessions that it took after 20', async () => {
  const backend = await openBackend({ device: 'cpu', threads: 2 });
  await buildAndRun(backend, 20);
  const early = residentMegabytes();
  await buildAndRun(backend, 180);
  const late = residentMegabytes();
  expect(late / early, `${early.toFixed(1)} MB, then ${late.toFixed(1)} MB`).toBeLessThanOrEqual(1.1);
}, 180_000);
