/** Bridges streams and the effects that pull them: one module, since the end of a pull is another one in Effect 4. */
import { Stream } from "effect"

/** The effect that pulls the next chunk of a stream. It fails with `Option.none()` at the end. */
export const toPull = Stream.toPull

/** The stream of the chunks that an effect pulls. */
export const fromPull = Stream.fromPull
