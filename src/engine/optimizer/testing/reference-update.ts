// One AdamW update of one parameter through the float64 reference, in place.

import { input } from '../../graph/build.ts';
import { interpret } from '../../runtime/reference.ts';
import { type AdamWOptions, type AdamWRates, type AdamWState, adamw } from '../adamw.ts';

export function referenceUpdate(
  state: AdamWState<Float64Array>,
  gradient: Float64Array,
  rates: AdamWRates<number>,
  options: AdamWOptions,
): void {
  const tensor = (name: string) => input(name, [gradient.length]);
  const scalar = (name: keyof AdamWRates<number>) => input(name, []);
  const symbols = { parameter: tensor('parameter'), first: tensor('first'), second: tensor('second') };
  const rateSymbols = {
    gradientScale: scalar('gradientScale'),
    stepSize: scalar('stepSize'),
    correction: scalar('correction'),
    kept: scalar('kept'),
  };
  const updated = interpret(
    { ...adamw(symbols, tensor('gradient'), rateSymbols, options) },
    {
      ...state,
      gradient,
      ...Object.fromEntries(Object.entries(rates).map(([name, value]) => [name, [value]])),
    },
  );
  state.parameter.set(updated.parameter);
  state.first.set(updated.first);
  state.second.set(updated.second);
}
