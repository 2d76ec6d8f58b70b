/** What all routes share. */
import type { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Duration, Scope } from "effect"
import { Effect } from "effect"
import type { Service as LLMService } from "../LLM.js"
import type { Service as ModelsService } from "../Models.js"
import type { Caller, Service as AccessService } from "./Access.js"
import * as Problem from "./problem.js"
import type { Running } from "./running.js"

export interface Surroundings {
  readonly models: ModelsService
  readonly access: AccessService
  readonly running: Running
  /** What is put around every model that is asked. */
  readonly around: (llm: LLMService) => Effect.Effect<LLMService>
  readonly maxBodySize: number
  readonly keepAlive: Duration.Duration
  readonly maxChoices: number
}

/** A route before its failures have been put into words. */
export type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem.Problem,
  HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext | Scope.Scope
>

/** A model for this client, by any name that it has; the default where none is named. */
export const modelFor = (
  { around, models }: Surroundings,
  caller: Caller,
  name: string | undefined
): Effect.Effect<LLMService, Problem.Problem> => {
  const found = Effect.mapError(name === undefined ? models.default : models.get(name), () =>
    name === undefined ? Problem.invalid("You must provide a model.", "model") : Problem.unknownModel(name)
  )
  return Effect.flatMap(found, (llm) => {
    const { model, provider } = llm.info
    return caller.allows([...(name === undefined ? [] : [name]), `${provider}/${model}`, model])
      ? Effect.flatMap(around(llm), caller.around)
      : Effect.fail(Problem.unknownModel(name ?? model))
  })
}
