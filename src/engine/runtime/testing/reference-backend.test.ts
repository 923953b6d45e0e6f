// The reference as a backend, held to the contract that other tests count on.

import { describe } from 'vitest';
import { describeContract, describeResidency } from './conformance.ts';
import { referenceBackend } from './reference-backend.ts';

const backend = referenceBackend();
describe('contract', () => describeContract(() => backend));
describe('tensors that stay on the device', () => describeResidency(() => backend));
