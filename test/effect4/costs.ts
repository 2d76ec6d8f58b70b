/**
 * Runs calls without a network for the benchmark, which compares the builds: `npm run bench -- --only builds`. A message names a subject and a
 * number of calls; the answer is the CPU of a call in microseconds.
 */
import { Effect, Stream } from "effect"
import type { Provider } from "../support/inMemoryCalls.js"
import { configured, direct, portable } from "../support/inMemoryCalls.js"

/** Those of a streamed answer are the deltas of its text. */
const deltas = 50

const chatsOver = (provider: Provider): Effect.Effect<unknown, unknown> => {
  const llm = Effect.runSync(configured(provider))
  return Effect.suspend(() => llm.chat("What is the capital of France?"))
}

const streamsOver = (provider: Provider): Effect.Effect<unknown, unknown> => {
  const llm = Effect.runSync(configured(provider, { deltas }))
  return Effect.suspend(() => Stream.runForEach(llm.chatStream("?"), () => Effect.void))
}

const subjects: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  "chat, direct": chatsOver(direct),
  "chat, HttpClient": chatsOver(portable),
  "stream, direct": streamsOver(direct),
  "stream, HttpClient": streamsOver(portable)
}

const measure = async (name: string, times: number): Promise<number> => {
  const call = subjects[name]
  if (call === undefined) throw new Error(`there is no subject ${name}`)
  let done = 0
  const before = process.cpuUsage()
  await Effect.runPromise(Effect.whileLoop({ while: () => done < times, body: () => call, step: () => void done++ }))
  const { system, user } = process.cpuUsage(before)
  return (user + system) / times
}

process.on("message", ({ name, times }: { readonly name: string; readonly times: number }) => {
  measure(name, times).then(
    (cpu) => process.send?.({ cpu }),
    (cause: unknown) => process.send?.({ error: String(cause) })
  )
})
