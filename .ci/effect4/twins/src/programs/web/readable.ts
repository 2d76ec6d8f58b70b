/** Bytes as a `ReadableStream`. */
import { Effect, Stream } from "effect"

/** A stream that ends when its request is aborted, with the signal of that: nothing is read ahead, so that only it ends a stream that is not read. */
export const toReadable = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  signal: AbortSignal | undefined
): Effect.Effect<ReadableStream<Uint8Array>, never, R> =>
  Effect.map(Effect.context<R>(), (context) =>
    Stream.toReadableStreamWith(stream, context, signal === undefined ? undefined : { signal })
  )
