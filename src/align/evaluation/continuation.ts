// Whether a text that goes on from a question answers it, or only continues as a base model does.

/**
 * Signs of a program: a function with its body, an arrow, a `return` whose line ends with a semicolon.
 * Words alone are no sign, for questions ask to "write a function solve(text)" and to "return the sum".
 */
const signsOfCode = [/\bfunction\s*[\w$]*\s*\([^)]*\)\s*\{/, /=>/, /\breturn\b[^\n]*;[ \t]*$/m];

/** Whether there is code that could be an answer, working or not. */
export function holdsCode(text: string): boolean {
  return signsOfCode.some((sign) => sign.test(text));
}
