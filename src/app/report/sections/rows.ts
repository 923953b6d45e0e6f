// 3. What each stage saw: real rows, token by token.

import { fixed, say } from '../bilingual.ts';
import type { Block, Section } from '../document.ts';
import type { Exhibits } from '../exhibits.ts';
import type { Names } from '../names.ts';

export function rowsSection(
  { demonstration, preference, sampled, episode }: Exhibits,
  names: Names,
): Section | undefined {
  const blocks = [
    ...(demonstration ? demonstrationBlocks(demonstration, names) : []),
    ...(preference ? preferenceBlocks(preference, names) : []),
    ...(sampled ? sampledBlocks(sampled, names) : []),
    ...(episode ? episodeBlocks(episode, names) : []),
  ];
  if (blocks.length === 0) return undefined;
  return {
    id: 'rows',
    title: say('rows.title'),
    short: say('rows.short'),
    blocks: [{ kind: 'text', text: say('rows.lead') }, ...blocks],
  };
}

function demonstrationBlocks(
  { stage, tokens }: NonNullable<Exhibits['demonstration']>,
  names: Names,
): Block[] {
  const trained = tokens.filter(({ role }) => role === 'trained').length;
  return [
    { kind: 'heading', text: say('rows.sft', { stage: names.full(stage) }) },
    {
      kind: 'text',
      text: say('rows.sft.note', { trained: String(trained), all: String(tokens.length) }),
    },
    {
      kind: 'tokens',
      tokens,
      legend: [
        { role: 'context', name: say('tokens.prompt') },
        { role: 'trained', name: say('tokens.trained') },
      ],
    },
  ];
}

function preferenceBlocks(
  { stage, prompt, chosen, rejected }: NonNullable<Exhibits['preference']>,
  names: Names,
): Block[] {
  return [
    { kind: 'heading', text: say('rows.preference', { stage: names.full(stage) }) },
    { kind: 'text', text: say('rows.preference.note') },
    { kind: 'tokens', tokens: prompt, legend: [{ role: 'context', name: say('tokens.prompt') }] },
    { kind: 'tokens', tokens: chosen, legend: [{ role: 'chosen', name: say('tokens.chosen') }] },
    { kind: 'tokens', tokens: rejected, legend: [{ role: 'rejected', name: say('tokens.rejected') }] },
  ];
}

function sampledBlocks({ stage, prompt, answers }: NonNullable<Exhibits['sampled']>, names: Names): Block[] {
  return [
    { kind: 'heading', text: say('rows.reject', { stage: names.full(stage) }) },
    { kind: 'text', text: say('rows.reject.note') },
    { kind: 'tokens', tokens: prompt, legend: [{ role: 'context', name: say('tokens.prompt') }] },
    ...answers.map(({ tokens, reward }, rank): Block => {
      const name = say(rank === 0 ? 'tokens.kept' : 'tokens.left', { reward: fixed(2)(reward) });
      return { kind: 'tokens', tokens, legend: [{ role: rank === 0 ? 'trained' : 'context', name }] };
    }),
  ];
}

function episodeBlocks(
  { stage, step, tokens, reward, kl }: NonNullable<Exhibits['episode']>,
  names: Names,
): Block[] {
  const figures = { step: `${step}`, reward: fixed(2)(reward), kl: fixed(2)(kl) };
  return [
    { kind: 'heading', text: say('rows.episode', { stage: names.full(stage) }) },
    { kind: 'text', text: say('rows.episode.note', figures) },
    {
      kind: 'tokens',
      tokens,
      legend: [
        { role: 'context', name: say('tokens.state') },
        { role: 'action', name: say('tokens.action') },
        { role: 'reward', name: say('tokens.reward') },
      ],
    },
  ];
}
