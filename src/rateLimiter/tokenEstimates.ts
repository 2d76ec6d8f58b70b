/**
 * Estimates the tokens of a call before it is sent: its input, and an output that is learned for each model from the answers that
 * came. The limiter reserves the estimate, and what a call uses beyond it delays later calls only after the provider has counted it.
 */
import { Option } from "effect"
import * as Sketch from "../vocabulary/quantileSketch.js"
import type { LimiterStatus } from "./model.js"

export interface TokenEstimates {
  /** Input and output of a call. */
  readonly of: (model: string, inputTokens: number, maxTokens: number | undefined) => number
  /** Learns from the output of an answer. */
  readonly record: (model: string, outputTokens: number) => void
}

/** The estimate is this quantile of the outputs that were seen. */
const share = 0.95

/** By how much more a quantile can be than the sketch says. */
const sketchError = 0.02

/** The output of a call of an unknown model. It counts less with every answer, and nothing after `learned` of them. */
const unknownOutput = 4096
const learned = 20

/** Outputs are counted in generations of this size, of which the last two are remembered. */
const generation = 200

/** The quantile is computed for each of the first answers, and then once for so many. */
const interval = 10

/** Models beyond this number are forgotten, the one that answered longest ago first: a request can name any model. */
const maxModels = 1000

interface Outputs {
  readonly earlier: Sketch.QuantileSketch
  readonly recorder: Sketch.Recorder
  readonly count: number
  /** The estimate by these outputs. */
  readonly high: number
}

const noOutputs = (): Outputs => ({ earlier: Sketch.empty, recorder: Sketch.unsafeMake(), count: 0, high: 0 })

const withOutput = (before: Outputs, outputTokens: number): Outputs => {
  const { earlier, recorder } = before
  recorder.unsafeRecord(outputTokens)
  const count = before.count + 1
  if (count > learned && count % interval !== 0) return { ...before, count }
  const current = recorder.unsafeSnapshot()
  const seen = Sketch.merge(earlier, current)
  const quantile = Option.getOrElse(Sketch.quantile(seen, share), () => 0)
  const high = Math.min(quantile * (1 + sketchError), seen.max)
  return current.count < generation
    ? { earlier, recorder, count, high }
    : { earlier: current, recorder: Sketch.unsafeMake(), count, high }
}

const outputOf = (outputs: Outputs | undefined): number =>
  outputs === undefined
    ? unknownOutput
    : Math.max(outputs.high, unknownOutput * Math.max(0, 1 - outputs.count / learned))

/** Undefined if the limiter, whose status this is, limits no tokens. */
export const make = (status: LimiterStatus): TokenEstimates | undefined => {
  if (!countsTokens(status)) return undefined
  const models = new Map<string, Outputs>()
  const limitOf = (model: string): number => (status.models?.[model] ?? status).tokens?.capacity ?? Infinity
  return {
    of: (model, inputTokens, maxTokens = Infinity) => {
      const tokens = inputTokens + Math.ceil(Math.min(outputOf(models.get(model)), maxTokens))
      // A call whose output is not known yet waits for all tokens rather than fail as too large.
      return Math.max(inputTokens, Math.min(tokens, limitOf(model)))
    },
    record: (model, outputTokens) => {
      const outputs = withOutput(models.get(model) ?? noOutputs(), outputTokens)
      models.delete(model)
      models.set(model, outputs)
      if (models.size > maxModels) for (const oldest of models.keys()) return void models.delete(oldest)
    }
  }
}

const countsTokens = ({ models = {}, tokens }: LimiterStatus): boolean =>
  tokens !== undefined || Object.values(models).some(countsTokens)
