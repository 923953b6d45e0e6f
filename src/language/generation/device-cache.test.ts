// Generation on the float64 reference, whose memory is its own.

import { describe } from 'vitest';
import { referenceBackend } from '../../engine/runtime/testing/reference-backend.ts';
import { describeGenerationOnDevice } from './testing/device-cases.ts';

describe('the float64 reference', () => describeGenerationOnDevice(async () => referenceBackend()));
