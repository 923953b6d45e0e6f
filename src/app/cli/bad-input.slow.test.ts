// Mistakes that people make and files that break, each through the real program: exit code 1 and one message that
// names the file, flag or key, what was expected and what was found. Long because it is a table of cases.

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel, tinyTokenizer, writeDemonstrations } from '../../align/run/testing/tiny-run.ts';
import { type Outcome, runHeed } from './testing/run-heed.ts';

interface Case {
  /** What is wrong. */
  title: string;
  words: readonly string[];
  /** Of the one line on stderr, after `error: `. */
  message: RegExp;
  /** Writes what the words name, in the folder where the program runs. */
  prepare?: () => void;
}

let folder: string;
const outcomes = new Map<Case, Promise<Outcome>>();
const path = (...names: string[]) => join(folder, ...names);
const put = (name: string, content: string | Uint8Array) => () => writeFileSync(path(name), content);
const rows = (name: string, ...values: object[]) =>
  put(name, values.map((value) => `${JSON.stringify(value)}\n`).join(''));

let runs = 0;
const out = () => ['--out', `run-${runs++}`];
const sft = (...words: string[]) => ['sft', '--model', 'base', '--data', 'rows.jsonl', ...out(), ...words];
const sftFrom = (model: string) => ['sft', '--model', model, '--data', 'rows.jsonl', ...out()];
const sftOn = (data: string, ...words: string[]) => [
  'sft',
  '--model',
  'base',
  '--data',
  data,
  ...out(),
  ...words,
];
const pretrain = (...words: string[]) => [
  ...[
    'pretrain',
    '--tokenizer',
    'base',
    '--layers',
    '1',
    '--hidden-size',
    '16',
    '--heads',
    '2',
    '--context',
    '64',
  ],
  ...['--window-length', '32', ...out(), '--data', ...words],
];

/** A copy of the model without manifest (so that each file speaks for itself), changed. */
const changedModel = (name: string, change: (folder: string) => void) => () => {
  cpSync(path('base'), path(name), { recursive: true, dereference: true });
  rmSync(path(name, 'manifest.json'));
  change(path(name));
};
const broken = (name: string, file: string, change: (bytes: Buffer) => string | Uint8Array) =>
  changedModel(name, (model) => writeFileSync(join(model, file), change(readFileSync(join(model, file)))));
const withConfig = (name: string, change: object) =>
  broken(name, 'config.json', (bytes) => JSON.stringify({ ...JSON.parse(bytes.toString()), ...change }));
const endTokenFields = {
  'tokenizer_config.json': 'eos_token',
  'config.json': 'eos_token_id',
  'generation_config.json': 'eos_token_id',
};
const withoutEndToken = (name: string) =>
  changedModel(name, (model) => {
    for (const [file, field] of Object.entries(endTokenFields)) {
      const { [field]: _, ...rest } = JSON.parse(readFileSync(join(model, file), 'utf8'));
      writeFileSync(join(model, file), JSON.stringify(rest));
    }
  });

interface Header {
  [tensor: string]: { dtype: string; shape: number[]; data_offsets: [number, number] };
}
const withHeader = (name: string, change: (header: Header) => void) =>
  broken(name, 'model.safetensors', (bytes) => {
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
    change(header);
    const text = Buffer.from(JSON.stringify(header));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([size, text, bytes.subarray(8 + length)]);
  });
const norm = 'model.norm.weight';

/** Something else than a file: opening a pipe that nobody writes to would wait for ever. */
const folderAs = (name: string, file: string) =>
  changedModel(name, (model) => {
    rmSync(join(model, file), { force: true });
    mkdirSync(join(model, file));
  });
const pipeAs = (name: string, file: string) =>
  changedModel(name, (model) => {
    rmSync(join(model, file), { force: true });
    execFileSync('mkfifo', [join(model, file)]);
  });
const hugeAs = (name: string, file: string) =>
  changedModel(name, (model) => truncateSync(join(model, file), 700e6));

const models: Case[] = [
  {
    title: 'a model that is not there',
    words: sftFrom('nowhere'),
    message: /^nowhere: expected a model's folder, .* got no such folder/,
  },
  {
    title: 'an empty folder as model',
    words: sftFrom('hollow'),
    message: /^hollow: expected a model's folder, .*, got a folder without it/,
    prepare: () => mkdirSync(path('hollow')),
  },
  {
    title: 'an empty config.json',
    words: sftFrom('config-empty'),
    message: /config-empty\/config\.json: expected JSON/,
    prepare: broken('config-empty', 'config.json', () => ''),
  },
  {
    title: 'a truncated config.json',
    words: sftFrom('config-cut'),
    message: /config-cut\/config\.json: expected JSON/,
    prepare: broken('config-cut', 'config.json', (bytes) => bytes.subarray(0, 90)),
  },
  ...['config.json', 'generation_config.json', 'tokenizer.json', 'model.safetensors'].map((file, i) => ({
    title: `a folder as ${file}`,
    words: sftFrom(`folder-${i}`),
    message: new RegExp(`folder-${i}/${file}: expected a .*, got a folder\\.$`),
    prepare: folderAs(`folder-${i}`, file),
  })),
  ...(process.platform === 'win32'
    ? []
    : ['config.json', 'heed.json', 'tokenizer.json', 'model.safetensors']
  ).map((file, i) => ({
    title: `a pipe as ${file}`,
    words: sftFrom(`pipe-${i}`),
    message: new RegExp(`pipe-${i}/${file}: expected a .*, got a pipe\\.$`),
    prepare: pipeAs(`pipe-${i}`, file),
  })),
  {
    title: 'a config.json that swells',
    words: sftFrom('swollen'),
    message: /swollen\/config\.json: expected a .* of at most 16777216 bytes, got 700000000\.$/,
    prepare: hugeAs('swollen', 'config.json'),
  },
  {
    title: 'an index that swells',
    words: sftFrom('swollen-index'),
    message:
      /swollen-index\/model\.safetensors\.index\.json: expected .* at most 16777216 bytes, got 700000000/,
    prepare: changedModel('swollen-index', (model) => {
      renameSync(join(model, 'model.safetensors'), join(model, 'model.safetensors.index.json'));
      truncateSync(join(model, 'model.safetensors.index.json'), 700e6);
    }),
  },
  {
    title: 'a manifest that swells',
    words: sftFrom('swollen-manifest'),
    message: /swollen-manifest\/manifest\.json: expected .* at most 16777216 bytes, got 700000000/,
    prepare: changedModel('swollen-manifest', (model) => {
      writeFileSync(join(model, 'manifest.json'), '');
      truncateSync(join(model, 'manifest.json'), 700e6);
    }),
  },
  {
    title: 'lines in a config.json that is no JSON',
    words: sftFrom('config-lines'),
    message: /config-lines\/config\.json: expected JSON in UTF-8, got .*not valid JSON\.$/,
    prepare: broken('config-lines', 'config.json', () => 'not\njson\n'),
  },
  {
    title: 'an architecture that heed does not know',
    words: sftFrom('bert'),
    message: /bert\/config\.json.*model_type.*expected .*llama.*got .*bert/,
    prepare: withConfig('bert', { model_type: 'bert' }),
  },
  {
    title: 'the class of another architecture',
    words: sftFrom('mistral'),
    message: /mistral\/config\.json: architectures: expected .*LlamaForCausalLM.*got .*MistralForCausalLM/,
    prepare: withConfig('mistral', { architectures: ['MistralForCausalLM'] }),
  },
  {
    title: 'a softcap that heed would leave out',
    words: sftFrom('softcap'),
    message: /softcap\/config\.json: final_logit_softcapping: expected the key to be absent.*got 30/,
    prepare: withConfig('softcap', { final_logit_softcapping: 30 }),
  },
  {
    title: 'heads that do not divide the width',
    words: sftFrom('heads'),
    message: /heads\/config\.json/,
    prepare: withConfig('heads', { num_attention_heads: 5, head_dim: undefined }),
  },
  {
    title: 'a billion layers',
    words: sftFrom('deep'),
    message: /deep\/config\.json.*num_hidden_layers.*expected .*got 1000000000/,
    prepare: withConfig('deep', { num_hidden_layers: 1e9 }),
  },
  {
    title: 'a negative width',
    words: sftFrom('negative'),
    message: /negative\/config\.json.*hidden_size.*expected .*got -32/,
    prepare: withConfig('negative', { hidden_size: -32 }),
  },
  {
    title: 'an empty weights file',
    words: sftFrom('weights-empty'),
    message: /weights-empty\/model\.safetensors: expected .* got/,
    prepare: broken('weights-empty', 'model.safetensors', () => ''),
  },
  {
    title: 'a truncated weights file',
    words: sftFrom('weights-cut'),
    message: /weights-cut\/model\.safetensors: expected .* got/,
    prepare: broken('weights-cut', 'model.safetensors', (bytes) => bytes.subarray(0, bytes.length / 2)),
  },
  {
    title: 'a header longer than the file',
    words: sftFrom('header-long'),
    message: /header-long\/model\.safetensors: expected .* got/,
    prepare: broken('header-long', 'model.safetensors', (bytes) => {
      bytes.writeBigUInt64LE(2n ** 63n, 0);
      return bytes;
    }),
  },
  {
    title: 'a type of weights that heed does not read',
    words: sftFrom('type'),
    message: /type\/model\.safetensors.*model\.norm\.weight.*expected .*F32.*got .*F8_E4M3/,
    prepare: withHeader('type', (header) => {
      header[norm].dtype = 'F8_E4M3';
    }),
  },
  {
    title: 'a shape whose size overflows',
    words: sftFrom('overflow'),
    message: /overflow\/model\.safetensors.*model\.norm\.weight/,
    prepare: withHeader('overflow', (header) => {
      header[norm].shape = [2 ** 40, 2 ** 40];
    }),
  },
  {
    title: 'weights of another shape than config.json says',
    words: sftFrom('shape'),
    message:
      /shape\/model\.safetensors: tensor model\.embed_tokens\.weight: expected the shape \[290,16\], got \[290,32\]/,
    prepare: withConfig('shape', {
      hidden_size: 16,
      head_dim: 8,
      num_attention_heads: 2,
      num_key_value_heads: 2,
    }),
  },
  {
    title: 'a tensor that is missing',
    words: sftFrom('missing'),
    message: /missing\S*: expected .*model\.norm\.weight/,
    prepare: withHeader('missing', (header) => {
      header['model.other.weight'] = header[norm];
      delete header[norm];
    }),
  },
  {
    title: 'weights that are not numbers',
    words: sftFrom('nan'),
    message: /nan\S*.*model\.norm\.weight.*expected .*finite.*got .*NaN/,
    prepare: broken('nan', 'model.safetensors', (bytes) => {
      const length = Number(bytes.readBigUInt64LE(0));
      const header: Header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
      bytes.writeFloatLE(Number.NaN, 8 + length + header[norm].data_offsets[0]);
      return bytes;
    }),
  },
  {
    title: 'a weights file in which a bit flipped',
    words: sftFrom('flipped'),
    message: /flipped.*model\.safetensors.*expected .*got/,
    prepare() {
      cpSync(path('base'), path('flipped'), { recursive: true, dereference: true });
      const bytes = readFileSync(path('flipped/model.safetensors'));
      bytes[bytes.length - 9] ^= 1;
      writeFileSync(path('flipped/model.safetensors'), bytes);
    },
  },
  {
    title: 'a model without a tokenizer',
    words: sftFrom('mute'),
    message: /mute\S*: expected .*tokenizer.*got/,
    prepare: changedModel('mute', (model) => rmSync(join(model, 'tokenizer.json'))),
  },
  {
    title: 'a truncated tokenizer.json',
    words: sftFrom('tokenizer-cut'),
    message: /tokenizer-cut\/tokenizer\.json: expected JSON/,
    prepare: broken('tokenizer-cut', 'tokenizer.json', (bytes) => bytes.subarray(0, 700)),
  },
  {
    title: 'a model that names no end token, in the tokenizer or beside it',
    words: sftFrom('endless'),
    message:
      /^tokenizer: expected an end-of-text token \(eos_token\), got none\. .*eos_token_id in config\.json/,
    prepare: withoutEndToken('endless'),
  },
  {
    title: 'a reward model to fine-tune',
    words: sftFrom('reward'),
    message: /^reward: expected a base or policy model, got a reward model/,
    prepare: broken('reward', 'heed.json', (bytes) =>
      JSON.stringify({ ...JSON.parse(bytes.toString()), kind: 'reward' }),
    ),
  },
  {
    title: 'a model with fewer tokens than its tokenizer',
    words: ['pretrain', '--model', 'small', '--data', 'text.txt', '--window-length', '32', ...out()],
    message: /^tokenizer: expected at most 290 tokens, the model's vocabulary, got 300/,
    prepare: changedModel('small', (model) =>
      writeFileSync(join(model, 'tokenizer.json'), largerTokenizer()),
    ),
  },
];

function largerTokenizer(): string {
  const json = tinyTokenizer().toJson() as {
    added_tokens: object[];
    model: { vocab: Record<string, number> };
  };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  for (let id = 290; id < 300; id++) json.added_tokens.push({ id, content: `<|${id}|>`, ...flags });
  return JSON.stringify(json);
}

const good = { prompt: 'a', completion: 'b' };
const pair = { prompt: 'a', chosen: 'b', rejected: 'c' };
const filling = 'x9'.repeat(64);

const data: Case[] = [
  {
    title: 'a data file that is not there',
    words: sftOn('no.jsonl'),
    message: /^no\.jsonl: expected a data file, got no such file/,
  },
  {
    title: 'a folder as data file',
    words: sftOn('base'),
    message: /^base: expected a data file, got a folder/,
  },
  {
    title: 'an empty data file',
    words: sftOn('empty.jsonl'),
    message: /^empty\.jsonl: expected at least one row .* got no rows/,
    prepare: put('empty.jsonl', ''),
  },
  {
    title: 'blank lines alone',
    words: sftOn('blank.jsonl'),
    message: /^blank\.jsonl: expected at least one row .* got no rows/,
    prepare: put('blank.jsonl', '\n \n\n'),
  },
  {
    title: 'a compressed data file that is cut off',
    words: sftOn('rows.gz'),
    message: /^rows\.gz: expected whole gzip, got unexpected end of file/,
    prepare: put('rows.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 1, 2)),
  },
  {
    title: 'no readable row',
    words: sftOn('words.jsonl'),
    message:
      /^words\.jsonl: expected at least one row .* got none of 2 \(2 unreadable, the first at words\.jsonl:1/,
    prepare: put('words.jsonl', 'not json\n{"prompt": \n'),
  },
  {
    title: 'a faulty row with --strict',
    words: sftOn('one-bad.jsonl', '--strict'),
    message: /^one-bad\.jsonl:2: expected a usable row \(--strict\), got .* \(byte 32\)/,
    prepare: put('one-bad.jsonl', '{"prompt":"a","completion":"b"}\n{"prompt":7}\n'),
  },
  {
    title: 'ids beyond the vocabulary',
    words: sftOn('ids.jsonl'),
    message:
      /^ids\.jsonl: .*got none of 1 \(1 dropped because a token id is beyond the model's vocabulary, the first at ids\.jsonl:1\)/,
    prepare: rows('ids.jsonl', { prompt_ids: [5, 6], completion_ids: [290] }),
  },
  {
    title: 'a prompt longer than the context',
    words: sftOn('long.jsonl'),
    message:
      /^long\.jsonl: .*got none of 1 \(1 dropped because the prompt alone fills the context, the first at long\.jsonl:1\)/,
    prepare: rows('long.jsonl', { prompt: 'x9'.repeat(64), completion: 'y' }),
  },
  {
    title: 'no token to train',
    words: sftOn('silent.jsonl'),
    message: /^silent\.jsonl: .*got none of 1 \(1 dropped because a completion is empty/,
    prepare: rows('silent.jsonl', { prompt: 'a', completion: ' ' }),
  },
  ...(
    [
      [
        'sft: an id beyond the vocabulary',
        'sft',
        good,
        { prompt_ids: [5], completion_ids: [99_999] },
        /vocabulary: 99999 of/,
      ],
      ['sft: an empty completion', 'sft', good, { prompt: 'a', completion: '' }, /a completion is empty/],
      [
        'sft: a prompt that fills the context',
        'sft',
        good,
        { prompt: filling, completion: 'b' },
        /the prompt alone/,
      ],
      ['reward: an empty answer', 'reward', pair, { ...pair, rejected: '' }, /a completion is empty/],
      ['dpo: equal answers', 'dpo', pair, { ...pair, rejected: 'b' }, /are the same/],
      [
        'reject: a prompt that fills the context',
        'reject',
        { prompt_ids: [5] },
        { prompt: filling },
        /fill the context/,
      ],
      ['ppo: an id beyond the vocabulary', 'ppo', { prompt_ids: [5] }, { prompt_ids: [99_999] }, /99999/],
    ] as const
  ).map(([title, command, first, second, reason], i): Case => {
    const file = `second-${i}.jsonl`;
    const rewarded = command === 'reject' || command === 'ppo' ? ['--reward', 'kata:readability'] : [];
    return {
      title: `${title}, with --strict`,
      words: [command, '--model', 'base', '--data', file, '--strict', ...rewarded, ...out()],
      message: new RegExp(
        `^second-${i}\\.jsonl:2: expected a usable row \\(--strict\\), got .*${reason.source}.* \\(byte \\d+\\)`,
      ),
      prepare: rows(file, first, second),
    };
  }),
  {
    title: 'preferences where demonstrations belong',
    words: sftOn('pairs.jsonl'),
    message: /^pairs\.jsonl: .*got a preference row/,
    prepare: rows('pairs.jsonl', { prompt: 'a', chosen: 'b', rejected: 'c' }),
  },
  {
    title: 'an empty corpus',
    words: pretrain('nothing.txt'),
    message: /^nothing\.txt: expected at least two tokens of text, got 0/,
    prepare: put('nothing.txt', ''),
  },
  {
    title: 'a corpus whose every row is broken',
    words: pretrain('broken.jsonl'),
    message:
      /^broken\.jsonl: expected at least two tokens of text, got 0 \(2 faulty rows, the first at broken\.jsonl:2: not JSON/,
    prepare: put('broken.jsonl', '\n{"text": \n{"words":"a"}\n'),
  },
  {
    title: 'a corpus that is no text, with --strict',
    words: pretrain('noise.txt', '--strict'),
    message: /^noise\.txt:1: expected a usable row .* got invalid UTF-8 at byte \d/,
    prepare: put('noise.txt', Uint8Array.of(97, 98, 99, 0xc3, 0x28, 10)),
  },
];

const options: Case[] = [
  {
    title: 'a command misspelt',
    words: ['sfft'],
    message: /^heed sfft: expected a command .*got unknown sfft\. Try sft/,
  },
  {
    title: 'a flag misspelt',
    words: sft('--learning-rat', '1'),
    message: /^--learning-rat: .*Try --learning-rate/,
  },
  {
    title: 'a flag without its value',
    words: sft('--json', '--max-steps'),
    message: /^--max-steps: expected a value after it, got nothing/,
  },
  {
    title: 'no model',
    words: ['sft', '--data', 'rows.jsonl', ...out()],
    message: /^heed sft: expected --model .*got none/,
  },
  {
    title: 'a negative rate',
    words: sft('--learning-rate=-1'),
    message: /^--learning-rate: expected a number, above 0, got -1/,
  },
  {
    title: 'a memory that never fades',
    words: sft('--beta2', '1'),
    message: /^--beta2: expected a number, at least 0, below 1, got 1/,
  },
  {
    title: 'a decay that wipes the weights',
    words: sft('--weight-decay', '1e9'),
    message: /^heed sft: expected --learning-rate × --weight-decay below 1, .* got 0\.0005 × 1000000000\.$/,
  },
  {
    title: 'half a step',
    words: sft('--max-steps', '1.5'),
    message: /^--max-steps: expected an integer, at least 1, got 1\.5/,
  },
  {
    title: 'more threads than any machine has',
    words: sft('--threads', '100000', '--dry-run'),
    message: /^--threads: expected an integer, at least 1, at most \d{2,4}, got 100000/,
  },
  {
    title: 'a number in words',
    words: sft('--epochs', 'two'),
    message: /^--epochs: expected a number, above 0, got "two"/,
  },
  { title: 'an endless number', words: sft('--epochs', 'Infinity'), message: /^--epochs: expected a number/ },
  {
    title: 'a schedule misspelt',
    words: sft('--schedule', 'cosin'),
    message: /^--schedule: .*got "cosin"\. Try cosine/,
  },
  {
    title: 'rows longer than the context',
    words: sft('--max-length', '65'),
    message: /^--max-length: expected at most 64, the model's context, got 65/,
  },
  {
    title: 'a config with an unknown key',
    words: sft('--config', 'key.yaml'),
    message: /^key\.yaml:2:1: expected a known key, got batchsize\. Try batch-size/,
    prepare: put('key.yaml', 'seed: 1\nbatchsize: 4\n'),
  },
  {
    title: 'a config that is no YAML',
    words: sft('--config', 'torn.yaml'),
    message: /^torn\.yaml:\d:\d+: expected YAML/,
    prepare: put('torn.yaml', 'seed: [1\nepochs: 2\n'),
  },
  {
    title: 'a config of another command',
    words: sft('--config', 'other.yaml'),
    message: /^other\.yaml:1:1: expected command: sft, got "pretrain"\. Try heed pretrain/,
    prepare: put('other.yaml', 'command: pretrain\n'),
  },
  {
    title: 'a config that is not there',
    words: sft('--config', 'no.yaml'),
    message: /^--config no\.yaml: expected a readable YAML file/,
  },
  {
    title: 'a folder that holds something else',
    words: ['sft', '--model', 'base', '--data', 'rows.jsonl', '--out', 'full'],
    message: /^--out full: expected a new or empty folder, got a folder that holds letter\.txt/,
    prepare() {
      mkdirSync(path('full'));
      writeFileSync(path('full/letter.txt'), 'dear');
    },
  },
  {
    title: 'a file as run folder',
    words: ['sft', '--model', 'base', '--data', 'rows.jsonl', '--out', 'rows.jsonl'],
    message: /^--out rows\.jsonl: expected a folder/,
  },
  {
    title: 'nothing to resume',
    words: sft('--resume'),
    message: /^--out run-\d+: expected the folder of a run to resume, got no such folder/,
  },
  {
    title: 'neither model nor tokenizer',
    words: ['pretrain', '--data', 'text.txt', ...out()],
    message: /^pretrain: expected --tokenizer for a new model, or --model/,
  },
  {
    title: 'windows longer than the context',
    words: pretrain('text.txt', '--window-length', '65'),
    message: /^--window-length: expected at most 64, the model's context, got 65/,
  },
  {
    title: 'heads of odd width',
    words: pretrain('text.txt', '--hidden-size', '18'),
    message: /^--hidden-size, --heads.*: expected an even width for each head.* got 18, 2, 2/,
  },
  {
    title: 'an end token that the tokenizer lacks',
    words: ['pretrain', '--tokenizer', 'lacks-eos', '--data', 'text.txt', ...out()],
    message: /lacks-eos\/config\.json: eos_token_id: expected .*, got 9999/,
    prepare() {
      withoutEndToken('lacks-eos')();
      const config = JSON.parse(readFileSync(path('lacks-eos/config.json'), 'utf8'));
      writeFileSync(path('lacks-eos/config.json'), JSON.stringify({ ...config, eos_token_id: 9999 }));
    },
  },
  {
    title: 'a tokenizer that is not there',
    words: ['pretrain', '--tokenizer', 'nowhere', '--data', 'text.txt', ...out()],
    message: /^nowhere\S*: expected a tokenizer file, got none/,
  },
];

const score = (...words: string[]) => ['score', '--model', 'base', '--data', ...words];
const generate = (...words: string[]) => ['generate', '--model', 'base', ...words];
const others: Case[] = [
  {
    title: 'score: data that is not there',
    words: score('no.jsonl'),
    message: /^no\.jsonl: expected a data file, got no such file/,
  },
  {
    title: 'score: an id beyond the vocabulary, with --strict',
    words: score('beyond.jsonl', '--strict'),
    message: /^beyond\.jsonl:1: .*999/,
    prepare: rows('beyond.jsonl', { prompt_ids: [5], completion_ids: [999] }),
  },
  {
    title: 'score: nothing to score',
    words: score('unscored.jsonl'),
    message: /^unscored\.jsonl: expected at least one row that can be scored/,
    prepare: rows('unscored.jsonl', { text: '' }),
  },
  {
    title: 'generate: nothing asked',
    words: generate(),
    message: /^heed generate: expected either --prompt or --data, got neither/,
  },
  {
    title: 'generate: a prompt that fills the context',
    words: generate('--prompt', 'x9'.repeat(64)),
    message: /^--prompt.* fill the context of 64/,
  },
  {
    title: 'generate: no probability left',
    words: generate('--prompt', 'a', '--top-p', '0'),
    message: /^--top-p: expected a number, above 0, at most 1, got 0/,
  },
  {
    title: 'tokenizer train: nothing to learn from',
    words: ['tokenizer', 'train', '--data', 'void.txt', ...out()],
    message: /^--data void\.txt: expected text, got none/,
    prepare: put('void.txt', ''),
  },
  {
    title: 'tokenizer train: a vocabulary below the alphabet',
    words: ['tokenizer', 'train', '--data', 'text.txt', '--vocabulary-size', '100', ...out()],
    message: /^vocabulary size: expected an integer of at least 256 .* got 100/,
  },
  {
    title: 'tokenizer train: a special token twice',
    words: ['tokenizer', 'train', '--data', 'text.txt', '--special-tokens', 'a', 'a', ...out()],
    message: /^special tokens: expected different strings, none empty, got "a"/,
  },
  {
    title: 'tokenizer encode: a tokenizer that is no JSON',
    words: ['tokenizer', 'encode', '--model', 'odd.json', '--text', 'a'],
    message: /^odd\.json: expected JSON/,
    prepare: put('odd.json', '{"version":'),
  },
  {
    title: 'tokenizer encode: nothing to encode',
    words: ['tokenizer', 'encode', '--model', 'base', '--text', ''],
    message: /^--text: expected text, got an empty one/,
  },
];

const groups = { models, data, options, others };

/** Runs every case, two at a time. */
function startAll(): void {
  const running = [Promise.resolve(), Promise.resolve()] as Promise<unknown>[];
  Object.values(groups)
    .flat()
    .forEach((one, i) => {
      one.prepare?.();
      const outcome = running[i % 2].then(() =>
        runHeed(one.words.includes('--json') ? one.words : [...one.words, '--json'], folder),
      );
      running[i % 2] = outcome;
      outcomes.set(one, outcome);
    });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-bad-input-'));
  await saveTinyModel(path('base'));
  writeDemonstrations(folder, 4);
  writeFileSync(path('text.txt'), 'the red cat sings. '.repeat(20));
  startAll();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(Object.entries(groups))('exit code 1 and one message: %s', (_, cases) => {
  it.each(cases)('$title', async (one) => {
    const { code, stdout, stderr } = await outcomes.get(one)!;
    const isBeside = (line: string) => /^$|^warning: |^tokenizer 0\/\d+ tokens$/.test(line);
    const errors = stderr.split('\n').filter((line) => !isBeside(line));
    expect([code, errors]).toEqual([1, [expect.stringMatching(/^error: .*: expected .*, got /s)]]);
    expect(errors[0].slice('error: '.length)).toMatch(one.message);
    expect(stderr).not.toMatch(/^\s+at /m);
    const { error } = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
    expect(errors[0]).toBe(
      `error: ${error.where}: expected ${error.expected}, got ${error.found}.${error.advice ? ` Try ${error.advice}.` : ''}`,
    );
  });
});
