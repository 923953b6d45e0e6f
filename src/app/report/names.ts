// What stages and models are called on the page, and their colours: the field's word for the command, and the stage's
// own name where several stages share it.

import { type Bilingual, isWord, plain, say } from './bilingual.ts';
import type { Hue } from './document.ts';
import { policiesOf, type StageRole } from './roles.ts';

export interface Names {
  /** Such as `PPO without KL penalty`; the stage's own name for a command without a word. */
  full: (name: string) => Bilingual;
  /** For labels in charts. */
  short: (name: string) => Bilingual;
  hue: (name: string) => Hue;
}

export function namesOf(stages: readonly StageRole[]): Names {
  const hues = huesOf(policiesOf(stages));
  const find = (wanted: string) => stages.find(({ name }) => name === wanted);
  const full = (name: string): Bilingual => {
    const stage = find(name);
    if (stage?.role === 'evaluation' && stage.from !== undefined) return withName(full(stage.from), name);
    const word = stage && wordOf(stage);
    if (!word) return plain(name);
    return isTold(stage, stages) ? say(word) : withName(say(word), name);
  };
  const short = (name: string): Bilingual => {
    const stage = find(name);
    const word = stage && wordOf(stage);
    if (!word) return full(name);
    if (!isTold(stage, stages)) return plain(name);
    const brief = `short.${word}`;
    return isWord(brief) ? say(brief) : say(word);
  };
  return { full, short, hue: (name) => hues.get(name) ?? 'quiet' };
}

function wordOf({ command, role, has_no_kl_penalty, loss }: StageRole) {
  if (role === 'base') return 'command.base';
  const exact = [has_no_kl_penalty ? 'no_kl' : loss, undefined].map((part) =>
    ['command', command, part].filter(Boolean).join('.'),
  );
  return exact.find(isWord);
}

/** Whether the word says which stage is meant: no other has it, or the stage is named after its command or the word. */
function isTold(stage: StageRole, stages: readonly StageRole[]): boolean {
  const word = wordOf(stage)!;
  const same = stages.filter((other) => wordOf(other) === word);
  return same.length === 1 || [stage.command, say(word).en.toLowerCase()].includes(stage.name);
}

function withName(word: Bilingual, name: string): Bilingual {
  return { en: `${word.en} (${name})`, ko: `${word.ko} (${name})` };
}

const wanted: Readonly<Record<string, Hue>> = { sft: 'ink', reject: 'green', dpo: 'violet', ppo: 'blue' };
const others: readonly Hue[] = ['ochre', 'teal', 'rose', 'green', 'violet', 'blue', 'orange'];

/** Each has its own as long as there are any. */
function huesOf(policies: readonly StageRole[]): ReadonlyMap<string, Hue> {
  const hues = new Map<string, Hue>();
  for (const policy of policies) {
    const taken = new Set(hues.values());
    const own = preferredHue(policy);
    const free = [...(own ? [own] : []), ...others].find((hue) => !taken.has(hue));
    hues.set(policy.name, free ?? others[hues.size % others.length]);
  }
  return hues;
}

function preferredHue({ role, command, has_no_kl_penalty }: StageRole): Hue | undefined {
  if (role === 'base') return 'gray';
  return has_no_kl_penalty ? 'orange' : wanted[command ?? ''];
}
