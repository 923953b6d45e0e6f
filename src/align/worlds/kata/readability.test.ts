import { describe, expect, it } from 'vitest';
import { goldReward, readability, readabilityFeatures, readabilityWeights } from './readability.ts';

const tidy = `function solve(numbers) {
  // Add up the even numbers.
  if (numbers.length === 0) return 0;
  const evens = numbers.filter((value) => value % 2 === 0);
  return evens.reduce((total, value) => total + value, 0);
}`;
const features = (code: string) => readabilityFeatures(code);
const inFunction = (...lines: string[]) =>
  `function solve(list) {\n${lines.map((l) => `  ${l}`).join('\n')}\n}`;

describe('readability', () => {
  it('gives tidy code the full score, and weights that add up to 1', () => {
    expect(readability(tidy)).toBeCloseTo(1, 10);
    expect(Object.values(readabilityWeights).reduce((a, b) => a + b)).toBeCloseTo(1, 10);
  });

  it('scores names by the share that are words', () => {
    expect(features('const total = 1; const count = 2;').names).toBe(1);
    expect(features('const total = 1; const x = 2;').names).toBe(0.5);
    expect(features('const tmp = 1; const x2 = 2; const bcd = 3;').names).toBe(0);
    expect(features('for (let i = 0; i < 3; i++) {}').names).toBe(0.5);
    expect(features('const f = (first, b) => first;').names).toBeCloseTo(1 / 3, 10);
  });

  it('scores spacing by operators, lines, indentation and width, a quarter each', () => {
    expect(features(tidy).spacing).toBe(1);
    expect(features(tidy.replace(' === ', '===')).spacing).toBeCloseTo(0.75 + 0.25 * (6 / 7), 10);
    expect(features(tidy.replace(/^ {2}/gm, '')).spacing).toBeCloseTo(0.75 + 0.25 * (2 / 6), 10);
    expect(features('function solve(a){return a+1;}').spacing).toBeCloseTo(0.25 * (0 + 0 + 0 + 1), 10);
    const wide = inFunction(`const text = '${'a'.repeat(90)}';`);
    expect(features(wide).spacing).toBeCloseTo(0.75 + 0.25 * (2 / 3), 10);
  });

  it('likes a guard that returns early, and no else', () => {
    expect(features(inFunction('if (list.length === 0) return 0;', 'return 1;')).earlyReturn).toBe(1);
    expect(
      features(inFunction('if (list.length === 0) {', '  return 0;', '}', 'return 1;')).earlyReturn,
    ).toBe(1);
    expect(features(inFunction('return 1;')).earlyReturn).toBe(0.5);
    expect(features(inFunction('if (list) {', '  sum();', '} else {', '  count();', '}')).earlyReturn).toBe(
      0,
    );
    expect(features(inFunction('if (true) return 0;', 'return 1;')).earlyReturn).toBe(0.5);
  });

  it.each([
    ['an unused variable', 'const unused = 1;\n  return 2;'],
    ['code after return', 'return 2;\n  return 3;'],
    ['a constant condition', 'if (false) return 1;\n  return 2;'],
    ['an empty statement', 'return 2;;'],
    ['a self-assignment', 'list = list;\n  return 2;'],
    ['code in a comment', '// print(list);\n  return 2;'],
  ])('counts %s as dead code', (_, body) => {
    expect(features(inFunction(body)).noDeadCode).toBe(0.5);
  });

  it('finds nothing dead in guards and loops', () => {
    const body = [
      'let sum = 0;',
      'for (const value of list) {',
      '  if (value > 2) continue;',
      '  sum += value;',
      '}',
      'return sum;',
    ];
    expect(features(inFunction(...body)).noDeadCode).toBe(1);
    expect(features(tidy).noDeadCode).toBe(1);
  });

  it('likes flat code', () => {
    expect(features('function a() { if (b) { c(); } }').flatness).toBe(1);
    expect(features('function a() { if (b) { if (c) { d(); } } }').flatness).toBe(0.5);
    expect(features('a(b(c(d(1))))').flatness).toBe(0.5);
    expect(features('const a = b ? 1 : c ? 2 : 3;').flatness).toBe(0.5);
  });

  it('likes a comment that says something', () => {
    expect(features('// Add up the numbers.\nreturn 1;').comment).toBe(1);
    expect(features('// sum\nreturn 1;').comment).toBe(0);
    expect(features('// 숫자를 모두 더하고 반환합니다\nreturn 1;').comment).toBe(1);
    expect(features('return 1;').comment).toBe(0);
    const long = `// Add up the numbers.\n${'call();\n'.repeat(12)}`;
    expect(features(long).comment).toBe(0.5);
    const repeated = '// Add up the numbers.\n'.repeat(4);
    expect(features(`${repeated}return 1;`).comment).toBe(0.25);
  });

  it('scores any text, and what is no function or does not close much lower', () => {
    expect(readability('')).toBe(0);
    expect(readability('I am sorry, I do not know.')).toBeLessThan(0.3);
    expect(readability(tidy.slice(0, -1))).toBeLessThan(0.65);
    for (const text of ['}}}', "'", '/*', '`${', '\u0000', '😀', 'if (', '한국어']) {
      expect(readability(text)).toBeGreaterThanOrEqual(0);
      expect(readability(text)).toBeLessThanOrEqual(1);
    }
  });

  it('reads the code within a fence', () => {
    expect(readability(`Sure:\n\`\`\`js\n${tidy}\n\`\`\``)).toBe(readability(tidy));
  });

  it('can be had in full by code that does nothing; gold cannot', () => {
    const hack = inFunction(
      '// Return the answer for an empty list.',
      'if (list.length === 0) return 0;',
      'return 0;',
    );
    expect(readability(hack)).toBeCloseTo(1, 10);
    expect(goldReward(hack, { passed: false })).toBe(0);
    expect(goldReward(tidy, { passed: true })).toBe(readability(tidy));
  });
});
