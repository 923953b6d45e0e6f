import { expect, it } from 'vitest';
import { roomFor } from './layout.ts';

it('has room for what is asked, and at most an eighth or 64 more', () => {
  expect([0, 1, 64, 65, 1000, 1025, 8192, 8193].map(roomFor)).toEqual([
    64, 64, 64, 128, 1024, 1152, 8192, 9216,
  ]);
});
