/** Signs tokens with `id.secret` keys. docs.bigmodel.cn, "HTTP API 调用", 鉴权方式: JWT. */
import { Clock, Effect, HashMap, Option, Redacted, Ref } from "effect"
import { SignJWT } from "jose"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { AuthenticationError } from "../../vocabulary/LLMError.js"
import type { Auth, Call } from "../../wire/providerClient.js"

/** The validity of a token in milliseconds, long enough for clocks that differ. */
const lifetime = 30 * 60_000

/** A token is renewed this long before it expires, in milliseconds. */
const margin = 60_000

interface Token {
  readonly value: Redacted.Redacted<string>
  /** The time of its renewal, in milliseconds since 1970. */
  readonly staleAt: number
}

interface KeyParts {
  readonly id: string
  readonly secret: string
}

/** The id and the secret of a key; undefined when it does not have both. */
const partsOf = (key: string): KeyParts | undefined => {
  const [, id, secret] = /^([^\s.]+)\.([^\s.]+)$/.exec(key) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** Both times are in milliseconds, unlike the seconds of RFC 7519. */
const signToken = ({ id, secret }: KeyParts, now: number): Promise<string> =>
  new SignJWT({ api_key: id, exp: now + lifetime, timestamp: now })
    .setProtectedHeader({ alg: "HS256", sign_type: "SIGN" })
    .sign(new TextEncoder().encode(secret))

/**
 * Makes a function that returns the token of a key, which is cached until its renewal. Concurrent calls for the same key wait for
 * one signature. A key without a dot is returned unchanged.
 */
export const make = (provider: string): Effect.Effect<NonNullable<Auth["token"]>> =>
  Effect.gen(function* () {
    const tokens = yield* Ref.make(HashMap.empty<Redacted.Redacted<string>, Token>())
    const signing = yield* Effect.makeSemaphore(1)

    const authenticationError = ({ key, model }: Call, message: string): LLMError =>
      new AuthenticationError({ provider, model, keyId: key.id, message, attempts: [] })

    const cachedToken = (call: Call, now: number): Effect.Effect<Option.Option<Redacted.Redacted<string>>> =>
      Effect.map(Ref.get(tokens), (all) =>
        HashMap.get(all, call.key.value).pipe(
          Option.filter(({ staleAt }) => now < staleAt),
          Option.map(({ value }) => value)
        )
      )

    /** Replaces the key's token, and removes the stale tokens of other keys. */
    const cacheToken = (call: Call, token: Token, now: number): Effect.Effect<void> =>
      Ref.update(tokens, (all) =>
        HashMap.set(
          HashMap.filter(all, ({ staleAt }) => now < staleAt),
          call.key.value,
          token
        )
      )

    const renewToken = (call: Call, parts: KeyParts): Effect.Effect<Redacted.Redacted<string>, LLMError> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const cached = yield* cachedToken(call, now)
        if (Option.isSome(cached)) return cached.value
        const token = yield* Effect.tryPromise({
          try: () => signToken(parts, now),
          // The cause can contain the secret.
          catch: () => authenticationError(call, `No token could be signed with the key "${call.key.id}".`)
        })
        const value = Redacted.make(token)
        yield* cacheToken(call, { value, staleAt: now + lifetime - margin }, now)
        return value
      })

    return (call) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(cachedToken(call, now), (cached) => {
          if (Option.isSome(cached)) return Effect.succeed(cached.value)
          const key = Redacted.value(call.key.value)
          if (!key.includes(".")) return Effect.succeed(call.key.value)
          const parts = partsOf(key)
          return parts === undefined
            ? Effect.fail(
                authenticationError(
                  call,
                  `The key "${call.key.id}" has a dot, but is not an id and a secret with one dot between them. Copy it again from the console of ${provider}.`
                )
              )
            : signing.withPermits(1)(renewToken(call, parts))
        })
      )
  })
