/** Tokens that an `id.secret` key signs. docs.bigmodel.cn, "HTTP API 调用", 鉴权方式: JWT. */
import { Clock, Effect, HashMap, Option, Redacted, Ref } from "effect"
import { SignJWT } from "jose"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { AuthenticationError } from "../../vocabulary/LLMError.js"
import type { Auth, Call } from "../../wire/providerClient.js"

/** How long a token is good for, in milliseconds: enough for clocks that disagree. */
const lifetime = 30 * 60_000

/** How long before its end a token is used no more, in milliseconds. */
const margin = 60_000

interface Token {
  readonly value: Redacted.Redacted<string>
  /** When it is used no more, in milliseconds since 1970. */
  readonly staleAt: number
}

interface KeyParts {
  readonly id: string
  readonly secret: string
}

/** Both halves of a key, absent where it has none. */
const partsOf = (key: string): KeyParts | undefined => {
  const [, id, secret] = /^([^\s.]+)\.([^\s.]+)$/.exec(key) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** Both times are in milliseconds, other than in most tokens. */
const signed = ({ id, secret }: KeyParts, now: number): Promise<string> =>
  new SignJWT({ api_key: id, exp: now + lifetime, timestamp: now })
    .setProtectedHeader({ alg: "HS256", sign_type: "SIGN" })
    .sign(new TextEncoder().encode(secret))

/**
 * Signs a token for each key, and keeps it until near its end. Calls that need the same one at the same time wait for one
 * signature. Plain keys, which have no dot, go as they are.
 */
export const make = (provider: string): Effect.Effect<NonNullable<Auth["token"]>> =>
  Effect.gen(function* () {
    const tokens = yield* Ref.make(HashMap.empty<Redacted.Redacted<string>, Token>())
    const gate = yield* Effect.makeSemaphore(1)

    const failed = ({ key, model }: Call, message: string): LLMError =>
      new AuthenticationError({ provider, model, keyId: key.id, message, attempts: [] })

    const kept = (call: Call, now: number): Effect.Effect<Option.Option<Redacted.Redacted<string>>> =>
      Effect.map(Ref.get(tokens), (all) =>
        HashMap.get(all, call.key.value).pipe(
          Option.filter(({ staleAt }) => now < staleAt),
          Option.map(({ value }) => value)
        )
      )

    /** Takes the place of the key's last one. Those of other keys go once they are past using. */
    const keep = (call: Call, token: Token, now: number): Effect.Effect<void> =>
      Ref.update(tokens, (all) =>
        HashMap.set(
          HashMap.filter(all, ({ staleAt }) => now < staleAt),
          call.key.value,
          token
        )
      )

    const renewed = (call: Call, parts: KeyParts): Effect.Effect<Redacted.Redacted<string>, LLMError> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const known = yield* kept(call, now)
        if (Option.isSome(known)) return known.value
        const token = yield* Effect.tryPromise({
          try: () => signed(parts, now),
          // The cause may hold the secret.
          catch: () => failed(call, `No token could be signed with the key "${call.key.id}".`)
        })
        const value = Redacted.make(token)
        yield* keep(call, { value, staleAt: now + lifetime - margin }, now)
        return value
      })

    return (call) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(kept(call, now), (known) => {
          if (Option.isSome(known)) return Effect.succeed(known.value)
          const key = Redacted.value(call.key.value)
          if (!key.includes(".")) return Effect.succeed(call.key.value)
          const parts = partsOf(key)
          return parts === undefined
            ? Effect.fail(
                failed(
                  call,
                  `The key "${call.key.id}" has a dot, but is not an id and a secret with one dot between them. Copy it anew from the console of ${provider}.`
                )
              )
            : gate.withPermits(1)(renewed(call, parts))
        })
      )
  })
