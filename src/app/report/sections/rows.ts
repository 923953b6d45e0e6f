// 3. What each stage saw: real rows, token by token.

import { fixed, say } from '../bilingual.ts';
import type { Block, Section, ShownToken } from '../document.ts';
import type { Exhibits } from '../exhibits.ts';

export function rowsSection({ demonstration, preference, sampled, episode }: Exhibits): Section | undefined {
  const blocks = [
    ...(demonstration ? demonstrationBlocks(demonstration) : []),
    ...(preference ? preferenceBlocks(preference) : []),
    ...(sampled ? sampledBlocks(sampled) : []),
    ...(episode ? episodeBlocks(episode) : []),
  ];
  if (blocks.length === 0) return undefined;
  return {
    id: 'rows',
    title: say('rows.title'),
    short: say('rows.short'),
    blocks: [{ kind: 'text', text: say('rows.lead') }, ...blocks],
  };
}

function demonstrationBlocks(tokens: ShownToken[]): Block[] {
  const trained = tokens.filter(({ role }) => role === 'trained').length;
  return [
    { kind: 'heading', text: say('rows.sft') },
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

function preferenceBlocks({ prompt, chosen, rejected }: NonNullable<Exhibits['preference']>): Block[] {
  return [
    { kind: 'heading', text: say('rows.preference') },
    { kind: 'text', text: say('rows.preference.note') },
    { kind: 'tokens', tokens: prompt, legend: [{ role: 'context', name: say('tokens.prompt') }] },
    { kind: 'tokens', tokens: chosen, legend: [{ role: 'chosen', name: say('tokens.chosen') }] },
    { kind: 'tokens', tokens: rejected, legend: [{ role: 'rejected', name: say('tokens.rejected') }] },
  ];
}

function sampledBlocks({ prompt, answers }: NonNullable<Exhibits['sampled']>): Block[] {
  return [
    { kind: 'heading', text: say('rows.reject') },
    { kind: 'text', text: say('rows.reject.note') },
    { kind: 'tokens', tokens: prompt, legend: [{ role: 'context', name: say('tokens.prompt') }] },
    ...answers.map(({ tokens, reward }, rank): Block => {
      const name = say(rank === 0 ? 'tokens.kept' : 'tokens.left', { reward: fixed(2)(reward) });
      return { kind: 'tokens', tokens, legend: [{ role: rank === 0 ? 'trained' : 'context', name }] };
    }),
  ];
}

function episodeBlocks({ step, tokens, reward, kl }: NonNullable<Exhibits['episode']>): Block[] {
  const figures = { step: `${step}`, reward: fixed(2)(reward), kl: fixed(2)(kl) };
  return [
    { kind: 'heading', text: say('rows.episode') },
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
