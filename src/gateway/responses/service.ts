/** Answers requests to `/v1/responses`: resolves what they refer to, and stores the answers. */
import { Effect } from "effect"
import type { Json } from "../../wire/json.js"
import { string } from "../../wire/json.js"
import type { Body } from "../http/body.js"
import type { BodyAccounts } from "../http/bodyAccount.js"
import type { GatewayContext } from "../http/context.js"
import * as HttpErrors from "../http/error.js"
import type { HotCall } from "../http/hotRoute.js"
import type { Service as ResponseStore } from "../ResponseStore.js"
import * as Background from "./background.js"
import * as Bindings from "./bindings.js"
import type { Account, StoredResponses } from "./model.js"
import { inputItems, isToBeStored, refers } from "./model.js"
import * as Recorder from "./recorder.js"
import type { Resolved } from "./references.js"
import * as References from "./references.js"

interface Question {
  readonly hot: HotCall
  readonly body: Body
  readonly record?: Recorder.Recorder | undefined
}

type Answer = Effect.Effect<void, HttpErrors.HttpError>

/** How a request is answered. `account`: the only one that has what the request names beside answers. */
interface Answers {
  /** Fails for a request that the provider of its model cannot get. */
  readonly check: (question: Question) => Answer
  /** Answers a request that refers to nothing. */
  readonly plain: (question: Question, account?: Account) => Answer
  /** Answers a request whose references are resolved. */
  readonly referring: (question: Question, resolved: Resolved, account?: Account) => Answer
}

/** Stores the answer to a request, and binds the ids in it to the client; undefined where there is nothing to do. */
const recorderOf = (
  store: ResponseStore,
  { body: { json }, hot }: Question,
  input: () => ReadonlyArray<Json>,
  previous?: string
): Recorder.Recorder | undefined => {
  const isStored = isToBeStored(json)
  const hasIds = Bindings.canGetIds(json)
  if (!isStored && !hasIds) return undefined
  const callerId = hot.caller.id
  return (response, account) => {
    if (hasIds) Bindings.bind(store, callerId, response, account)
    if (!isStored) return
    const owner = account && {
      provider: account.provider,
      keyId: account.keyId,
      id: string(response, "id") ?? ""
    }
    Recorder.store(store, callerId, {
      response,
      input: input(),
      ...(previous === undefined ? {} : { previous }),
      ...(owner === undefined ? {} : { owner })
    })
  }
}

const invalidBackground = (json: Json): HttpErrors.HttpError | undefined => {
  if (!isToBeStored(json)) {
    return HttpErrors.invalid("'background: true' needs 'store: true', since the answer is asked for later.", "store")
  }
  return json["stream"] === true
    ? HttpErrors.invalid(
        "'background: true' cannot be streamed by this gateway. Ask for the response by its id.",
        "stream"
      )
    : undefined
}

const answerInBackground = (
  responses: StoredResponses,
  bodies: BodyAccounts,
  { body, hot }: Question,
  resolved: Resolved | undefined,
  account: Account | undefined,
  { check, plain, referring }: Answers
): Answer => {
  const invalid = invalidBackground(body.json)
  if (invalid !== undefined) return Effect.fail(invalid)
  const { background: _, ...json } = body.json
  const asked: Body = { json, text: JSON.stringify(json) }
  const ordinary = resolved && References.withoutBackground(resolved)
  const start = Effect.clockWith((clock) =>
    Background.start(responses, bodies, {
      hot,
      body,
      input: resolved?.input ?? inputItems(json["input"]),
      previous: resolved?.previous,
      createdAt: Math.floor(clock.unsafeCurrentTimeMillis() / 1000),
      answer: (silent, record) => {
        const question: Question = {
          hot: silent,
          body: asked,
          record: (response, account) => {
            Bindings.bind(responses.store, hot.caller.id, response, account)
            record(response, account)
          }
        }
        return ordinary === undefined ? plain(question, account) : referring(question, ordinary, account)
      }
    })
  )
  return Effect.zipRight(check({ hot, body: ordinary?.expanded(true) ?? asked }), start)
}

/** Answers a request to `/v1/responses`. One that refers to nothing takes no step more than on another route. */
export const answer = (
  { bodies, responses }: Pick<GatewayContext, "bodies" | "responses">,
  question: Question,
  answers: Answers
): Answer => {
  const { plain, referring } = answers
  const { body, hot } = question
  const { json } = body
  const inBackground = json["background"] === true
  if (responses === undefined) {
    return inBackground ? Effect.fail(HttpErrors.noResponseStore("'background: true'", "background")) : plain(question)
  }
  const { store } = responses
  const named = Bindings.namedBy(json)
  const isReferring = refers(json)
  if (!isReferring && !inBackground && named.length === 0) {
    return plain({ hot, body, record: recorderOf(store, question, () => inputItems(json["input"])) })
  }
  return Effect.gen(function* () {
    const account = yield* Bindings.accountOf(store, hot.caller.id, named)
    const resolved = isReferring ? yield* References.resolve(store, hot.caller.id, body) : undefined
    if (inBackground) return yield* answerInBackground(responses, bodies, question, resolved, account, answers)
    const input = () => resolved?.input ?? inputItems(json["input"])
    const recorded = { hot, body, record: recorderOf(store, question, input, resolved?.previous) }
    yield* resolved === undefined ? plain(recorded, account) : referring(recorded, resolved, account)
  })
}
