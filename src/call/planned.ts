/** The `LLM` of a call plan. */
import { Either } from "effect"
import * as DirectClient from "./directClient.js"
import type { Service } from "./model.js"
import { openChat, toListeningChatStream } from "./openStream.js"
import type { Plan } from "./plan.js"
import * as Stream from "./planStream.js"
import * as Whole from "./planWhole.js"
import { normalize, rememberingEstimate, withDefaults } from "./request.js"
import { fromEffect, toChat } from "./sending.js"
import { isUnlimited } from "./timeLimits.js"
import { wrap } from "./wrap.js"

/** Puts the straight way in front of the same calls as effects. */
export const applyTo = (effects: Service, options: Omit<Plan, "effects" | "hasLimits" | "estimateText">): Service => {
  const { client, feedback, info, limiter, pool } = options.deps
  // A pool or a limiter of several processes, or of a user, has effects alone.
  if (limiter.unsafeTryReserve === undefined || pool.unsafeTryReserve === undefined || pool.unsafeRest === undefined) {
    return effects
  }
  if (feedback !== undefined && feedback.unsafe === undefined) return effects
  const plan: Plan = {
    ...options,
    effects,
    hasLimits: !isUnlimited(options.limits),
    estimateText: rememberingEstimate()
  }
  const direct = DirectClient.of(client)
  return wrap(effects, {
    chat: toChat((input, added) => {
      const request =
        added.request === undefined ? normalize(input, info.defaults) : withDefaults(added.request, info.defaults)
      return Either.isLeft(request)
        ? fromEffect(effects.chat(input))
        : Whole.send(plan, direct, request.right, request.right.model ?? info.model, added)
    }),
    chatStream: toListeningChatStream((input, listeners) => {
      const request = normalize(input, info.defaults)
      return Either.isLeft(request)
        ? openChat(effects, input, listeners)
        : Stream.open(plan, direct, request.right, request.right.model ?? info.model, listeners)
    })
  })
}
