// The post-processor of tokenizer.json: the special tokens that go around an encoded text when asked for.

import type { JsonField } from './json-field.ts';

/** Ids before and after the text. */
export interface Frame {
  before: number[];
  after: number[];
}

/** @throws FormatError for a post-processor of another kind, by name, and for templates without the text in them once */
export function readPostProcessor(field: JsonField, idBound: number): Frame {
  if (!field.present) return { before: [], after: [] };
  return field.byType<Frame>({
    // Changes only offsets, and heed's do not leave out spaces.
    ByteLevel: () => ({ before: [], after: [] }),
    TemplateProcessing: (template) => readTemplate(template, idBound),
    Sequence: (sequence) => sequence.steps('processors').reduce(surround(idBound), { before: [], after: [] }),
  });
}

function surround(idBound: number): (inner: Frame, step: JsonField) => Frame {
  return (inner, step) => {
    const outer = readPostProcessor(step, idBound);
    return { before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] };
  };
}

function readTemplate(field: JsonField, idBound: number): Frame {
  const single = field.at('single');
  const frame: Frame = { before: [], after: [] };
  let side = frame.before;
  for (const item of single.items()) {
    const special = item.at('SpecialToken');
    if (special.present) side.push(...idsOf(field, special.at('id').string(), idBound));
    else if (item.at('Sequence').present && side === frame.before) side = frame.after;
    else item.fail('{"SpecialToken": …} or, once, {"Sequence": …}');
  }
  if (side === frame.before) single.fail('{"Sequence": …} among its items');
  return frame;
}

function idsOf(template: JsonField, name: string, idBound: number): number[] {
  const ids = template.at('special_tokens').at(name).at('ids');
  return ids.items().map((id) => id.integerBelow(idBound));
}

/** @throws FormatError unless the decoder is ByteLevel, alone or in a sequence with Fuse */
export function checkDecoder(field: JsonField): void {
  if (!field.present) return;
  field.byType<void>({
    ByteLevel: () => undefined,
    Fuse: () => undefined,
    Sequence: (sequence) => sequence.steps('decoders').forEach(checkDecoder),
  });
}
