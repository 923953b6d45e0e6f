// Compiled programs by what distinguishes them, for as long as they are used.

import type { Outputs } from '../graph/simplify.ts';
import type { Backend, Program } from './backend.ts';

/** Of one structure they share a session; but a large vocabulary is computed in pieces, and makes many structures. */
const keptPrograms = 32;

export class ProgramCache {
  private readonly backend: Backend;
  private readonly most: number;
  /** The latest used last. */
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(backend: Backend, most = keptPrograms) {
    this.backend = backend;
    this.most = most;
  }

  /**
   * The program of a key, compiled when it is not there. It is released once `most` others were asked for since.
   * @param graph the same for every call with this key
   * @param resident outputs that stay on the device; also the same
   */
  async get(key: string, graph: () => Outputs, resident: readonly string[] = []): Promise<Program> {
    const program = this.programs.get(key) ?? this.compile(key, graph(), resident);
    this.programs.delete(key);
    this.programs.set(key, program);
    if (this.programs.size > this.most) {
      const [[oldest, old]] = this.programs;
      this.programs.delete(oldest);
      await (await old).release();
    }
    return program;
  }

  /** What fails is not kept. */
  private compile(key: string, outputs: Outputs, resident: readonly string[]): Promise<Program> {
    const program = this.backend.compile(outputs, resident);
    program.catch(() => {
      if (this.programs.get(key) === program) this.programs.delete(key);
    });
    return program;
  }

  async release(): Promise<void> {
    const programs = await Promise.all(this.programs.values());
    this.programs.clear();
    await Promise.all(programs.map((program) => program.release()));
  }
}
