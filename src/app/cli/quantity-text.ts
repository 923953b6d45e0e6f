// Times, memory and counts in a few characters.

/** `3.2 s`, `48 s`, `2 min 5 s`, `3 h 20 min`. */
export function secondsText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `0.3 MB`, `640 MB`, `1.4 GB`; powers of ten. */
export function bytesText(bytes: number): string {
  if (bytes > 0 && bytes < 9.95e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes < 999.5e6 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** `3.7 M`, `124 M`, `850`. */
export function countText(count: number): string {
  if (count < 1000) return String(count);
  const [value, unit] =
    count < 1e6 ? [count / 1e3, 'K'] : count < 1e9 ? [count / 1e6, 'M'] : [count / 1e9, 'G'];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
