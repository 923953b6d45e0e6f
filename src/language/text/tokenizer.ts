// Text to token ids and back: byte-level BPE as Llama 3, Qwen, GPT-2 and SmolLM publish it in tokenizer.json,
// with the ids that Hugging Face's library gives. Encoding goes added tokens → normalizer → pieces → merges.

import { basename, dirname } from 'node:path';
import { FormatError } from '../../engine/errors.ts';
import {
  type AddedToken,
  AddedTokenFinder,
  overlayAddedTokens,
  readAddedTokens,
  type Section,
} from './added-tokens.ts';
import { type BpeModel, ID_BOUND, readBpeModel } from './bpe-model.ts';
import { bytesOfToken, utf8, wellFormed } from './byte-alphabet.ts';
import { readChatTemplate } from './chat-template.ts';
import { JsonField } from './json-field.ts';
import { type Alignment, align, type Normalizer, readNormalizer } from './normalizer.ts';
import { type Offset, pieceOffsets, sourceOffset } from './offsets.ts';
import { checkDecoder, type Frame, readPostProcessor } from './post-processor.ts';
import { type PreTokenizer, readPreTokenizer } from './pre-tokenizer.ts';
import { readSpecialRoles, type SpecialRoles } from './special-roles.ts';
import {
  readTokenizerSource,
  type TokenizerFiles,
  type TokenizerSource,
  tokenizerSource,
  writeTokenizerFiles,
} from './tokenizer-files.ts';

interface EncodeOptions {
  /** Turn special tokens written in the text into control tokens. Default false: they are text like any other. */
  parseSpecial?: boolean;
  /** Put the template's special tokens (such as a begin-of-text) around the text. Default false. */
  addSpecialTokens?: boolean;
}

interface DecodeOptions {
  skipSpecial?: boolean;
}

/** Receives each token; `start` and `end` are UTF-16 offsets in the text, and are computed only when asked for. */
interface Sink {
  ids: number[];
  offsets?: Offset[];
}

export class Tokenizer {
  /** Highest id + 1, added tokens included. Some ids below it may be nobody's. */
  readonly vocabularySize: number;
  /** From tokenizer_config.json, or as chosen when training. */
  readonly special: SpecialRoles;
  /** tokenizer_config.json as it was read; empty when there was none. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** The Jinja source of chat_template.jinja or else of tokenizer_config.json. */
  readonly chatTemplate: string | undefined;
  private readonly templateFile: string | undefined;
  private readonly source: unknown;
  private readonly model: BpeModel;
  private readonly normalize: Normalizer | undefined;
  private readonly preTokenize: PreTokenizer;
  private readonly frame: Frame;
  private readonly rawFinder: AddedTokenFinder;
  private readonly normalizedFinder: AddedTokenFinder;
  private readonly ids: ReadonlyMap<string, number>;
  private readonly tokens = new Map<number, string>();
  private readonly added: ReadonlyMap<number, AddedToken>;

  private constructor({
    tokenizer: source,
    tokenizerPath: where,
    configuration,
    configurationPath,
    template,
  }: TokenizerSource) {
    const field = new JsonField(source, where);
    field.record();
    this.source = source;
    this.model = readBpeModel(field.at('model'));
    this.normalize = readNormalizer(field.at('normalizer'));
    this.preTokenize = readPreTokenizer(field.at('pre_tokenizer'));
    this.frame = readPostProcessor(field.at('post_processor'), ID_BOUND);
    checkDecoder(field.at('decoder'));
    const settings = new JsonField(configuration ?? {}, configurationPath);
    this.configuration = settings.record();
    const added = overlayAddedTokens(
      readAddedTokens(field.at('added_tokens'), ID_BOUND),
      settings.at('added_tokens_decoder'),
      this.model.vocabulary,
    );
    this.added = new Map(added.map((token) => [token.id, token]));
    this.ids = new Map([...this.model.vocabulary, ...added.map((t) => [t.content, t.id] as const)]);
    this.indexTokens(field.at('added_tokens'), added);
    this.vocabularySize = [...this.tokens.keys()].reduce((most, id) => Math.max(most, id + 1), 0);
    const spelling = this.normalize ?? ((text: string) => text);
    this.rawFinder = new AddedTokenFinder(
      added.filter((token) => !token.normalized),
      (content) => content,
    );
    this.normalizedFinder = new AddedTokenFinder(
      added.filter((token) => token.normalized),
      spelling,
    );
    this.special = readSpecialRoles(settings, this.ids);
    this.templateFile = template;
    this.chatTemplate = template ?? readChatTemplate(settings.at('chat_template'));
  }

  /**
   * @param json          a parsed tokenizer.json
   * @param where         its name, for errors
   * @param configuration a parsed tokenizer_config.json, which names bos, eos and pad
   * @throws FormatError naming the key, for malformed content and for kinds that heed does not have
   */
  static fromJson(json: unknown, where: string, configuration?: unknown): Tokenizer {
    return Tokenizer.read(where, () => {
      return new Tokenizer({
        tokenizer: structuredClone(json),
        tokenizerPath: where,
        configuration: structuredClone(configuration),
        configurationPath: `tokenizer_config.json of ${where}`,
        template: undefined,
      });
    });
  }

  /**
   * @param path tokenizer.json, or a folder that holds it; tokenizer_config.json and chat_template.jinja beside it are
   *   read when they are there
   */
  static async load(path: string): Promise<Tokenizer> {
    const source = await readTokenizerSource(path);
    return Tokenizer.read(source.tokenizerPath, () => new Tokenizer(source));
  }

  /**
   * `load` of files that have been read.
   * @param folder that they were read from, for errors
   */
  static async fromFiles(folder: string, files: TokenizerFiles): Promise<Tokenizer> {
    const source = await tokenizerSource(folder, files);
    return Tokenizer.read(source.tokenizerPath, () => new Tokenizer(source));
  }

  private static read(where: string, make: () => Tokenizer): Tokenizer {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const found = 'one nested so deeply that the stack ends';
      throw new FormatError({ where, expected: 'a tokenizer', found }, { cause: error });
    }
  }

  /** The tokenizer.json that this tokenizer was made from, with every field that heed does not know. */
  toJson(): unknown {
    return structuredClone(this.source);
  }

  /** The files of its folder: name → bytes, or a value to be written as JSON. */
  files(): Record<'tokenizer.json' | 'tokenizer_config.json', object> & {
    'chat_template.jinja'?: Uint8Array;
  } {
    return {
      'tokenizer.json': this.source as object,
      'tokenizer_config.json': this.configuration,
      ...(this.templateFile !== undefined && { 'chat_template.jinja': utf8(this.templateFile) }),
    };
  }

  /** Writes `path` alone when it ends in .json, otherwise `files` into the folder `path`. */
  async save(path: string): Promise<void> {
    if (path.endsWith('.json')) await writeTokenizerFiles(dirname(path), { [basename(path)]: this.source });
    else await writeTokenizerFiles(path, { 'chat_template.jinja': undefined, ...this.files() });
  }

  /** Lone surrogates are encoded as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const sink: Sink = { ids: [] };
    this.encodeInto(sink, wellFormed(text), options);
    return sink.ids;
  }

  /**
   * Ids with the stretch of `text` that each came from, in UTF-16 units. A token that holds part of a character (or,
   * under a normalizer, of a character with its marks) gets the whole of it, so neighbours may overlap; tokens that
   * stand for nothing in the text get an empty stretch. Spaces belong to the token that holds them.
   */
  encodeWithOffsets(text: string, options: EncodeOptions = {}): { ids: number[]; offsets: Offset[] } {
    const sink = { ids: [] as number[], offsets: [] as Offset[] };
    this.encodeInto(sink, wellFormed(text), options);
    return sink;
  }

  /** Bytes that are not UTF-8 become U+FFFD; ids that are nobody's stand for nothing. */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const decoder = this.decoder(options);
    return ids.map((id) => decoder.push(id)).join('') + decoder.end();
  }

  /** Decodes token by token; `push` holds back an unfinished character, `end` gives what is left. */
  decoder(options: DecodeOptions = {}): { push(id: number): string; end(): string } {
    const utf8Decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => {
        const isSkipped = options.skipSpecial && this.isSpecial(id);
        return isSkipped ? '' : utf8Decoder.decode(this.tokenBytes(id), { stream: true });
      },
      end: () => utf8Decoder.decode(),
    };
  }

  /** The bytes that a token decodes to; none for an id that is nobody's. */
  tokenBytes(id: number): Uint8Array {
    const added = this.added.get(id);
    return added ? utf8(added.content) : bytesOfToken(this.tokens.get(id) ?? '');
  }

  /** @param token as tokenizer.json spells it: bytes in the byte alphabet, added tokens as they are */
  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.tokens.get(id);
  }

  isSpecial(id: number): boolean {
    return this.added.get(id)?.special ?? false;
  }

  private indexTokens(addedTokens: JsonField, added: readonly AddedToken[]): void {
    for (const [token, id] of this.model.vocabulary) this.tokens.set(id, token);
    added.forEach((token, index) => {
      const { id, content } = token;
      const isConsistent = (this.tokens.get(id) ?? content) === content && this.ids.get(content) === id;
      const inModel = this.model.vocabulary.get(content) ?? id;
      if (!isConsistent || inModel !== id)
        addedTokens.at(index).fail(`an id for "${content}" that no other token has`);
      this.tokens.set(id, content);
    });
    if (this.added.size < added.length) addedTokens.fail('different ids throughout');
  }

  private encodeInto(sink: Sink, text: string, options: EncodeOptions): void {
    const frame = options.addSpecialTokens ? this.frame : undefined;
    for (const id of frame?.before ?? []) pushToken(sink, id, [0, 0]);
    for (const section of this.rawFinder.split(text, options.parseSpecial ?? false)) {
      if (section.id === undefined) this.encodeSection(sink, text, section, options.parseSpecial ?? false);
      else pushToken(sink, section.id, [section.start, section.end]);
    }
    for (const id of frame?.after ?? []) pushToken(sink, id, [text.length, text.length]);
  }

  private encodeSection(sink: Sink, text: string, section: Section, parseSpecial: boolean): void {
    const original = text.slice(section.start, section.end);
    const normalized = this.normalize ? this.normalize(original) : original;
    const alignment =
      sink.offsets && this.normalize && normalized !== original
        ? align(original, normalized, this.normalize)
        : undefined;
    for (const part of this.normalizedFinder.split(normalized, parseSpecial)) {
      const place = { base: section.start, alignment };
      if (part.id === undefined)
        this.encodePart(sink, normalized.slice(part.start, part.end), part.start, place);
      else pushToken(sink, part.id, sourceOffset([part.start, part.end], place));
    }
  }

  private encodePart(
    sink: Sink,
    part: string,
    start: number,
    place: { base: number; alignment?: Alignment },
  ): void {
    for (const piece of this.preTokenize(part)) {
      const { ids, widths } = this.model.encode(piece.text);
      for (const id of ids) sink.ids.push(id);
      for (const [from, to] of sink.offsets ? pieceOffsets(piece, widths) : []) {
        sink.offsets?.push(sourceOffset([start + from, start + to], place));
      }
    }
  }
}

function pushToken(sink: Sink, id: number, offset: Offset): void {
  sink.ids.push(id);
  sink.offsets?.push(offset);
}
