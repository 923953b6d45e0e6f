import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { mixedDocuments } from './corpora.ts';

it('ships a base that learnt from the very texts that its recipe makes', { timeout: 120_000 }, () => {
  const { seed, stages } = parse(readFileSync('recipes/pretrain-kata.yaml', 'utf8'));
  const { lineage } = JSON.parse(readFileSync('models/kata-base/heed.json', 'utf8'));
  const hash = createHash('sha256');
  for (const text of mixedDocuments(seed, stages.data.documents))
    hash.update(`${JSON.stringify({ text })}\n`);
  expect(hash.digest('hex')).toBe(lineage.data[0].sha256);
});
