// Korean particles after a number, a name or a letter: which form follows depends on the last sound.

/** Last sounds of 0 … 9 as they are read (영, 일, 이 …). */
const endsInConsonant = [true, true, false, true, false, false, true, true, true, false];
const endsInL = [false, true, false, false, false, false, false, true, true, false];

interface Sound {
  closed: boolean;
  liquid: boolean;
}

/** Latin words are read as English loan words: 카운트, 팩터, 리밋 … */
const closedWords = new Set(['limit']);

function lastSound(word: string): Sound {
  const digit = /(\d)$/.exec(word)?.[1];
  if (digit === undefined) return { closed: closedWords.has(word), liquid: false };
  return { closed: endsInConsonant[Number(digit)], liquid: endsInL[Number(digit)] };
}

const particles: Readonly<Record<string, (sound: Sound) => string>> = {
  '': () => '',
  을: ({ closed }) => (closed ? '을' : '를'),
  이: ({ closed }) => (closed ? '이' : '가'),
  과: ({ closed }) => (closed ? '과' : '와'),
  로: ({ closed, liquid }) => (closed && !liquid ? '으로' : '로'),
  개를: () => '개를',
};

/** Fills `{k}`, `{k을}`, `{k이}`, `{k과}`, `{k로}` with a word and the particle that fits it. */
export function withParticles(text: string, word: string): string {
  return text.replace(
    /\{k(을|이|과|로|개를|)\}/g,
    (_, particle: string) => word + particles[particle](lastSound(word)),
  );
}
