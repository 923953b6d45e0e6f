import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Tokenizer } from './tokenizer.ts';
import { trainTokenizer } from './train.ts';

const texts = [
  'the cat sat on the mat, the cat',
  '한국어 문장, 한국어 모델',
  'if (x) {\n  return x;\n}',
  'aaaaaaaaaaaaaaaaaaaa',
];
const tokenizer = trainTokenizer(texts, {
  vocabularySize: 300,
  specialTokens: ['<|user|>'],
  bos: '<|bos|>',
  eos: '<|eos|>',
});

interface TokenizerJson {
  normalizer: unknown;
  added_tokens: object[];
  model: { vocab: Record<string, number>; merges: [string, string][] };
}

function withNormalizer(normalizer: unknown): Tokenizer {
  return Tokenizer.fromJson({ ...(tokenizer.toJson() as object), normalizer }, 'test');
}

function withAddedToken(token: object): Tokenizer {
  const json = tokenizer.toJson() as TokenizerJson;
  const flags = {
    id: 400,
    special: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  };
  json.added_tokens.push({ ...flags, ...token });
  return Tokenizer.fromJson(json, 'test');
}

/** Any text: every code point, and lone surrogates too. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 30 })
    .map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.constantFrom('<|eos|>', '<|', 'eos|>', ' ', '\n', '가', '🙂', "'s", 'cat'), { maxLength: 20 })
    .map((p) => p.join('')),
);
const replaceLoneSurrogates = (text: string) =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text));

describe('encode and decode', () => {
  it('give back every text, with lone surrogates as U+FFFD', () => {
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, parseSpecial) => {
        expect(tokenizer.decode(tokenizer.encode(text, { parseSpecial }))).toBe(replaceLoneSurrogates(text));
      }),
      { numRuns: 500 },
    );
  });

  it('take special tokens in a text for text unless asked', () => {
    const eos = tokenizer.special.eos!;
    expect(tokenizer.encode('the<|eos|>')).not.toContain(eos);
    expect(tokenizer.encode('the<|eos|>', { parseSpecial: true }).at(-1)).toBe(eos);
    fc.assert(fc.property(anyText, (text) => tokenizer.encode(text).every((id) => !tokenizer.isSpecial(id))));
  });

  it('put the begin token before the text when special tokens are asked for', () => {
    const ids = tokenizer.encode('the cat');
    expect(tokenizer.encode('the cat', { addSpecialTokens: true })).toEqual([tokenizer.special.bos, ...ids]);
  });

  it('leave out special tokens on request', () => {
    const ids = tokenizer.encode('<|bos|>the cat<|eos|>', { parseSpecial: true });
    expect(tokenizer.decode(ids)).toBe('<|bos|>the cat<|eos|>');
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('the cat');
  });

  it('decode bytes that are not UTF-8 to U+FFFD, and ids that are nobody’s to nothing', () => {
    const firstByte = tokenizer.encode('🙂')[0];
    expect(tokenizer.decode([firstByte, ...tokenizer.encode('a'), 99_999])).toBe('\ufffda');
  });

  it('encode one letter 200,000 times in seconds and not hours, with the ids of merging by hand', () => {
    const start = performance.now();
    const ids = tokenizer.encode('a'.repeat(200_000));
    expect(performance.now() - start).toBeLessThan(10_000);
    // In twenty letters aa occurs often enough to merge, then aaaa and eight of them; sixteen occur once.
    expect(new Set(ids.map((id) => tokenizer.tokenOf(id)))).toEqual(new Set(['a'.repeat(8)]));
    expect(ids).toHaveLength(25_000);
  });
});

describe('offsets', () => {
  it('cover a text without gaps, and each token’s own stretch holds the token', () => {
    fc.assert(
      fc.property(anyText, fc.boolean(), (text, parseSpecial) => {
        const { ids, offsets } = tokenizer.encodeWithOffsets(text, { parseSpecial });
        expect(ids).toEqual(tokenizer.encode(text, { parseSpecial }));
        let covered = 0;
        ids.forEach((id, i) => {
          const [start, end] = offsets[i];
          expect(start).toBeLessThanOrEqual(covered);
          expect(end).toBeGreaterThanOrEqual(covered);
          covered = end;
          const stretch = Buffer.from(text.slice(start, end));
          expect(stretch.includes(Buffer.from(tokenizer.tokenBytes(id)))).toBe(true);
        });
        expect(covered).toBe(text.length);
      }),
    );
  });

  it('give a token that holds part of a character the whole character', () => {
    const { offsets } = tokenizer.encodeWithOffsets('x🙂y');
    expect(offsets).toEqual([[0, 1], ...Array(offsets.length - 2).fill([1, 3]), [3, 4]]);
  });

  it('lead back through a normalizer to the characters as they were written', () => {
    const composing = withNormalizer({ type: 'NFC' });
    const { ids, offsets } = composing.encodeWithOffsets('xe\u0301z');
    expect(composing.decode(ids)).toBe('x\u00e9z');
    expect(offsets).toEqual([
      [0, 1],
      [1, 3],
      [1, 3],
      [3, 4],
    ]);
  });
});

describe('the streaming decoder', () => {
  it('gives the same text as decoding at once, and never half a character', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = tokenizer.encode(text);
        const decoder = tokenizer.decoder();
        const parts = [...ids.map((id) => decoder.push(id)), decoder.end()];
        expect(parts.join('')).toBe(tokenizer.decode(ids));
        if (!replaceLoneSurrogates(text).includes('\ufffd')) expect(parts.join('|')).not.toContain('\ufffd');
      }),
    );
  });
});

describe('added tokens', () => {
  it('that are not special are always parsed, the longest first', () => {
    const think = withAddedToken({ content: '<think>' });
    expect(think.encode('<think>')).toEqual([400]);
    expect(think.isSpecial(400)).toBe(false);
    const longer = withAddedToken({ content: '<|eos|>!' });
    expect(longer.encode('<|eos|>!', { parseSpecial: true })).toEqual([400]);
  });

  it('take the spaces beside them with lstrip and rstrip', () => {
    const greedy = withAddedToken({ content: '<m>', lstrip: true, rstrip: true });
    const { ids, offsets } = greedy.encodeWithOffsets('a \n<m>  b');
    expect(ids).toEqual([...tokenizer.encode('a'), 400, ...tokenizer.encode('b')]);
    expect(offsets[1]).toEqual([1, 8]);
  });

  it('with single_word are found only between word boundaries', () => {
    const word = withAddedToken({ content: 'dog', single_word: true });
    expect(word.encode('hotdog')).not.toContain(400);
    expect(word.encode('dog_')).not.toContain(400);
    expect(word.encode('(dog)')).toContain(400);
  });

  it('with normalized are found in the normalized text, others in the text as written', () => {
    const json = { ...(withAddedToken({ content: 'CAFE\u0301', normalized: true }).toJson() as object) };
    const normalizer = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] };
    expect(Tokenizer.fromJson({ ...json, normalizer }, 'test').encode('Caf\u00e9')).toEqual([400]);
    const raw = withAddedToken({ content: 'CAF' }).toJson() as object;
    expect(Tokenizer.fromJson({ ...raw, normalizer }, 'test').encode('caf')).not.toContain(400);
  });
});

describe('files', () => {
  const folders: string[] = [];
  const temporaryFolder = async () => {
    folders.push(await mkdtemp(join(tmpdir(), 'heed-tokenizer-')));
    return folders[folders.length - 1];
  };
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

  it('keep everything through load, save and load, fields unknown to heed included', async () => {
    const folder = await temporaryFolder();
    const json = { ...(tokenizer.toJson() as object), somebody_elses: { nested: [1, null] } };
    const configuration = {
      eos_token: { content: '<|eos|>', lstrip: false },
      pad_token: null,
      chat_template: '{{ x }}',
    };
    await Tokenizer.fromJson(json, 'test', configuration).save(join(folder, 'new', 'model'));
    const loaded = await Tokenizer.load(join(folder, 'new', 'model'));
    expect(loaded.toJson()).toEqual(json);
    expect(loaded.configuration).toEqual(configuration);
    expect(loaded.special).toEqual({ eos: tokenizer.idOf('<|eos|>') });
    expect((await readdir(join(folder, 'new', 'model'))).sort()).toEqual([
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  /** Templates beside a tokenizer: in tokenizer_config.json, and in files by name. */
  const folderWith = async (chat_template: unknown, files: Record<string, string>) => {
    const folder = await temporaryFolder();
    await tokenizer.save(folder);
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ chat_template }));
    await mkdir(join(folder, 'additional_chat_templates'));
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    return folder;
  };
  const [file, toolUse] = ['chat_template.jinja', 'additional_chat_templates/tool_use.jinja'];

  // The order of Transformers 5.24, PreTrainedTokenizerBase._from_pretrained.
  it.each<[string, unknown, Record<string, string>, string | undefined]>([
    ['none', undefined, {}, undefined],
    ['null', null, {}, undefined],
    ['tokenizer_config.json', 'old', {}, 'old'],
    ['chat_template.jinja before tokenizer_config.json', 'old', { [file]: 'new\r\nline' }, 'new\nline'],
    ['an empty chat_template.jinja', 'old', { [file]: '' }, ''],
    ['the default of several', [{ name: 'default', template: 'one' }], {}, 'one'],
    ['chat_template.jinja beside others', undefined, { [file]: 'new', [toolUse]: 'tools' }, 'new'],
  ])('bring the chat template: %s', async (_, inConfiguration, files, expected) => {
    const loaded = await Tokenizer.load(await folderWith(inConfiguration, files));
    expect(loaded.chatTemplate).toBe(expected);
    // Over what another tokenizer left there.
    const copy = await folderWith('stale', { [file]: 'stale' });
    await loaded.save(copy);
    expect((await Tokenizer.load(copy)).chatTemplate).toBe(expected);
  });

  it.each<[string, unknown, Record<string, string>, RegExp]>([
    ['a number', 7, {}, /tokenizer_config\.json: chat_template: expected a string, got 7/],
    ['no default', [{ name: 'rag', template: 'x' }], {}, /chat_template: expected one named default/],
    ['a default of no text', [{ name: 'default' }], {}, /chat_template\[0\]\.template: expected a string/],
    ['only others', 'old', { [toolUse]: 'x' }, /additional_chat_templates: .* got tool_use\.jinja and no/],
    [
      'two defaults',
      'old',
      { [file]: 'x', 'additional_chat_templates/default.jinja': 'y' },
      /additional_chat_templates: .* got default\.jinja and a chat_template\.jinja/,
    ],
  ])('whose chat template is %s are refused', async (_, inConfiguration, files, message) => {
    const folder = await folderWith(inConfiguration, files);
    await expect(Tokenizer.load(folder)).rejects.toThrow(message);
    await expect(Tokenizer.load(folder)).rejects.toMatchObject({ name: 'FormatError' });
  });

  it('can be a tokenizer.json alone', async () => {
    const path = join(await temporaryFolder(), 'tokenizer.json');
    await tokenizer.save(path);
    const loaded = await Tokenizer.load(path);
    expect(loaded.encode('the cat')).toEqual(tokenizer.encode('the cat'));
    expect(loaded.special).toEqual({});
  });

  it.each([
    ['empty', '', /tokenizer\.json: expected JSON in UTF-8, got an empty file/],
    ['truncated', '{"model": {"vocab": {"a": 0', /tokenizer\.json: expected JSON in UTF-8/],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), /tokenizer\.json: expected JSON in UTF-8/],
    ['not an object', '[]', /tokenizer\.json: expected an object, got an array of 0/],
  ])('that are %s are refused by name', async (_, content, message) => {
    const path = join(await temporaryFolder(), 'tokenizer.json');
    await writeFile(path, content);
    await expect(Tokenizer.load(path)).rejects.toThrow(message);
    await expect(Tokenizer.load(path)).rejects.toMatchObject({ name: 'FormatError' });
  });

  it('that are not there are the user’s mistake', async () => {
    await expect(Tokenizer.load('/nowhere/at/all')).rejects.toThrow(/expected a tokenizer file, got none/);
  });
});
