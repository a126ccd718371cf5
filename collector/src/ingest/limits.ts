/** Bounds of what a shipper may send. Sizes in bytes, or in UTF-16 units where they say Chars. */
export interface IngestLimits {
  /** A body as it arrives. */
  readonly maxBodyBytes: number;
  /** A body, decompressed. */
  readonly maxBatchBytes: number;
  readonly maxEvents: number;
  readonly maxLineChars: number;
  readonly maxPartChars: number;
  /** Bodies of batches and snapshots in memory at once; beyond it: 503. */
  readonly concurrentBatches: number;
  /** Recorded chunks (of 512 KiB at most) in memory at once; beyond it: 503. */
  readonly concurrentRecordings: number;
}

/** Several times what the recorder writes at most: a line 128 Ki characters, a part 1 MiB. */
export const defaultIngestLimits: IngestLimits = {
  maxBodyBytes: 16 << 20,
  maxBatchBytes: 32 << 20,
  maxEvents: 10_000,
  maxLineChars: 512 << 10,
  maxPartChars: 4 << 20,
  concurrentBatches: 8,
  concurrentRecordings: 8,
};
