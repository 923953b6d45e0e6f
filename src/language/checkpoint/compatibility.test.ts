import { describe, expect, it } from 'vitest';
import { tinyConfigs } from '../model/testing/tiny-models.ts';
import { trainTokenizer } from '../text/train.ts';
import { requireContext, requireOneGraph, requireSameTokens, type TokenModel } from './compatibility.ts';

const tokenizer = trainTokenizer(['red cats and red dogs', 'blue cats'], {
  ...{ vocabularySize: 266, specialTokens: ['<|bos|>', '<|end|>'], bos: '<|bos|>', eos: '<|end|>' },
});
// biome-ignore lint/suspicious/noExplicitAny: edited as the JSON that it is
type Json = any;

const bytes = (json: unknown): Uint8Array => Buffer.from(JSON.stringify(json));
const config = { ...tinyConfigs.llama, vocabularySize: 266 };
const policy: TokenModel = { config, tokenizerFiles: { 'tokenizer.json': tokenizer.toJson() as object } };

function edited(edit: (json: Json) => void): TokenModel {
  const json = tokenizer.toJson();
  edit(json);
  return { config, tokenizerFiles: { 'tokenizer.json': bytes(json) } };
}

const accepted: Record<string, TokenModel> = {
  'the same file': edited(() => {}),
  'padding, truncation and a decoder of its own': edited((json) => {
    json.padding = { strategy: 'BatchLongest', pad_id: 0 };
    json.truncation = { max_length: 512 };
    json.decoder = { type: 'Fuse' };
  }),
  'merges written as pairs, as newer files have them': edited(({ model }) => {
    model.merges = model.merges.map((merge: string | string[]) =>
      typeof merge === 'string' ? merge.split(' ') : merge.join(' '),
    );
  }),
  'defaults omitted or written': edited(({ model, added_tokens }) => {
    model.dropout = null;
    model.byte_fallback = false;
    model.continuing_subword_prefix = '';
    for (const token of added_tokens) delete token.single_word;
  }),
  'its frame inside a sequence': edited((json) => {
    json.post_processor = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, json.post_processor] };
  }),
  'added tokens in another order': edited(({ added_tokens }) => added_tokens.reverse()),
  'another chat template': {
    ...policy,
    tokenizerFiles: { ...policy.tokenizerFiles, 'tokenizer_config.json': { chat_template: 'x' } },
  },
  'no tokenizer': { config },
  'rows of the embedding beyond the vocabulary': {
    ...policy,
    config: { ...config, vocabularySize: 320 },
  },
};

const refused: Record<string, [TokenModel, RegExp]> = {
  'another id of a token': [
    edited(({ model: { vocab } }) => {
      const [a, b] = Object.keys(vocab).slice(-2);
      [vocab[a], vocab[b]] = [vocab[b], vocab[a]];
    }),
    /expected the same tokens as --model has, got another tokenizer: its vocabulary differs/,
  ],
  'another order of merges': [edited(({ model }) => model.merges.reverse()), /its merges differs/],
  'merges that are passed over': [
    edited(({ model }) => Object.assign(model, { ignore_merges: true })),
    /its kind of model differs/,
  ],
  'a normalizer': [
    edited((json) => Object.assign(json, { normalizer: { type: 'NFC' } })),
    /its normalizer differs/,
  ],
  'a prefix space': [
    edited((json) =>
      Object.assign(json, { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } }),
    ),
    /its pre-tokenizer differs/,
  ],
  'another added token': [
    edited(({ added_tokens }) => added_tokens.push({ id: 300, content: '<|new|>', special: true })),
    /its list of added tokens differs/,
  ],
  'no token before every text': [
    edited((json) => Object.assign(json, { post_processor: { type: 'ByteLevel', trim_offsets: true } })),
    /its frame of special tokens differs/,
  ],
  'fewer ids': [
    { ...policy, config: { ...config, vocabularySize: 265 } },
    /expected 266 token ids, as --model has, got 265/,
  ],
};

describe('a model that scores another’s ids', () => {
  it.each(Object.entries(accepted))('may have %s', (_, other) => {
    expect(() => requireSameTokens('other', other, policy)).not.toThrow();
  });

  it.each(Object.entries(refused))('may not have %s', (_, [other, message]) => {
    expect(() => requireSameTokens('other', other, policy)).toThrow(message);
  });

  it('needs a context for the longest row', () => {
    expect(() => requireContext('other', config, config.maxPositions)).not.toThrow();
    expect(() => requireContext('other', config, config.maxPositions + 1)).toThrow(
      /expected a context of at least 513 tokens, as the longest row may have, got 512/,
    );
  });
});

describe('models that one graph computes', () => {
  it('may differ in context and special tokens', () => {
    const other = { ...policy, config: { ...config, maxPositions: 64, tokens: { eos: [3] } } };
    expect(() => requireOneGraph('other', other, policy)).not.toThrow();
  });

  it('have one architecture, and the same tokens', () => {
    const deeper = { ...policy, config: { ...config, layers: 3 } };
    expect(() => requireOneGraph('other', deeper, policy)).toThrow(/expected layers 2, as in --model, got 3/);
    const [foreign, message] = refused['another order of merges'];
    expect(() => requireOneGraph('other', foreign, policy)).toThrow(message);
  });
});
