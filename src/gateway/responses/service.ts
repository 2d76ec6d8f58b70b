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
import type { StoredResponses } from "./model.js"
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

/** How a request is answered: one that refers to nothing, and one whose references are resolved. */
type AnswerPlain = (question: Question) => Answer
type AnswerReferring = (question: Question, resolved: Resolved) => Answer

/** Stores the answer to a request of this caller. */
const recorderOf =
  (store: ResponseStore, callerId: string, input: () => ReadonlyArray<Json>, previous?: string): Recorder.Recorder =>
  (response, account) =>
    Recorder.store(store, callerId, {
      response,
      input: input(),
      ...(previous === undefined ? {} : { previous }),
      ...(account === undefined
        ? {}
        : { owner: { provider: account.provider, keyId: account.keyId, id: string(response, "id") ?? "" } })
    })

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
  plain: AnswerPlain,
  referring: AnswerReferring
): Answer => {
  const invalid = invalidBackground(body.json)
  if (invalid !== undefined) return Effect.fail(invalid)
  const { background: _, ...json } = body.json
  const asked: Body = { json, text: JSON.stringify(json) }
  return Effect.clockWith((clock) =>
    Background.start(responses, bodies, {
      hot,
      body,
      input: resolved?.input ?? inputItems(json["input"]),
      previous: resolved?.previous,
      createdAt: Math.floor(clock.unsafeCurrentTimeMillis() / 1000),
      answer: (silent, record) =>
        resolved === undefined
          ? plain({ hot: silent, body: asked, record })
          : referring({ hot: silent, body: asked, record }, References.withoutBackground(resolved))
    })
  )
}

/** Answers a request to `/v1/responses`. One that refers to nothing takes no step more than on another route. */
export const answer = (
  { bodies, responses }: Pick<GatewayContext, "bodies" | "responses">,
  { body, hot }: Question,
  plain: AnswerPlain,
  referring: AnswerReferring
): Answer => {
  const { json } = body
  const isReferring = refers(json)
  const inBackground = json["background"] === true
  if (responses === undefined) {
    return inBackground
      ? Effect.fail(HttpErrors.noResponseStore("'background: true'", "background"))
      : plain({ hot, body })
  }
  const { store } = responses
  if (!isReferring) {
    if (inBackground) return answerInBackground(responses, bodies, { hot, body }, undefined, plain, referring)
    return plain({
      hot,
      body,
      record: isToBeStored(json) ? recorderOf(store, hot.caller.id, () => inputItems(json["input"])) : undefined
    })
  }
  return Effect.flatMap(References.resolve(store, hot.caller.id, body), (resolved) =>
    inBackground
      ? answerInBackground(responses, bodies, { hot, body }, resolved, plain, referring)
      : referring(
          {
            hot,
            body,
            record: isToBeStored(json)
              ? recorderOf(store, hot.caller.id, () => resolved.input, resolved.previous)
              : undefined
          },
          resolved
        )
  )
}
