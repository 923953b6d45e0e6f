// 8. The same requests answered by every model, side by side.

import { fixed, say } from '../bilingual.ts';
import type { Block, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Report, Sample } from '../report-json.ts';
import type { World } from '../world.ts';

export function samplesSection(report: Report, names: Names, world: World): Section | undefined {
  if (report.samples.length === 0) return undefined;
  return {
    id: 'samples',
    title: say('samples.title'),
    short: say('samples.short'),
    blocks: [
      { kind: 'text', text: world.words.samples },
      ...report.samples.map((sample, i) => answersBlock(sample, i + 1, i === 0, names, world)),
      ...(world.blocks.samples?.(report, names) ?? []),
    ],
  };
}

export function answersBlock(
  sample: Sample,
  number: number,
  isOpen: boolean,
  names: Names,
  world: Pick<World, 'show' | 'sampleTitle'>,
): Block {
  return {
    kind: 'answers',
    title: world.sampleTitle(sample, number),
    request: sample.prompt,
    right: sample.answer,
    answers: Object.entries(sample.answers).map(([name, answer]) => {
      const { verdicts, ...shown } = world.show(sample, answer);
      const { text, proxy } = answer;
      const scored =
        proxy === undefined
          ? []
          : [{ text: say('verdict.proxy', { value: fixed(2)(proxy) }), tone: 'quiet' as const }];
      const own = { name: names.full(name), hue: names.hue(name), text };
      return { ...own, ...shown, verdicts: [...verdicts, ...scored] };
    }),
    isOpen,
  };
}
