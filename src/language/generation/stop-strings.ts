// Stop strings over streamed text: what could still become a stop string is held back, whichever tokens it comes in.

export class StopStringScanner {
  /** The text so far, without a stop string and what followed it. */
  text = '';
  isStopped = false;
  private readonly stopStrings: readonly string[];
  private shown = 0;

  /** @param stopStrings none of them empty */
  constructor(stopStrings: readonly string[]) {
    this.stopStrings = stopStrings;
  }

  /** Adds text and returns the stretch that has become certain: it lies before any stop string. */
  push(piece: string): string {
    if (this.isStopped) return '';
    // What was shown cannot begin a stop string, so the search starts behind it.
    this.text += piece;
    const found = this.stopStrings.map((stop) => this.text.indexOf(stop, this.shown)).filter((at) => at >= 0);
    this.isStopped = found.length > 0;
    if (this.isStopped) this.text = this.text.slice(0, Math.min(...found));
    return this.show(this.isStopped ? this.text.length : this.text.length - this.pendingLength());
  }

  /** The stretch that was held back, when no more text comes. */
  end(): string {
    return this.show(this.text.length);
  }

  private show(end: number): string {
    const piece = this.text.slice(this.shown, end);
    this.shown = end;
    return piece;
  }

  /** Length of the longest end of the text that begins a stop string. */
  private pendingLength(): number {
    const longest = Math.max(0, ...this.stopStrings.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, this.text.length - this.shown); length > 0; length--) {
      const tail = this.text.slice(-length);
      if (this.stopStrings.some((stop) => stop.startsWith(tail))) return length;
    }
    return 0;
  }
}
