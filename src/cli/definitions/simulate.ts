/** What `effect-llm simulate` accepts, and its help. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Shared from "../options.js"

const options = {
  port: Options.integer("port").pipe(
    Options.withAlias("p"),
    Options.withDescription("The port on the loopback interface. Default: 0, for any free port."),
    Options.withDefault(0)
  ),
  key: Options.text("key").pipe(
    Options.withDescription(
      "A valid key; any other gets a 401. Without this option every key is valid. May be repeated."
    ),
    Options.repeated
  ),
  latency: Options.text("latency").pipe(
    Options.withPseudoName("ms"),
    Options.withDescription(
      "Milliseconds before the first byte: 200, or 100-400 for a random value in this range. Default: 0."
    ),
    Options.withDefault("0")
  ),
  pace: Options.text("pace").pipe(
    Options.withPseudoName("ms"),
    Options.withDescription(
      "Milliseconds between the words of a stream: 20, or 10-40 for a random value in this range. Default: 0."
    ),
    Options.withDefault("0")
  ),
  fault: Options.text("fault").pipe(
    Options.withPseudoName("what@share"),
    Options.withDescription(
      "A fault and its share of the requests: a status such as 429@0.1, or reset, truncate, garbage, hang or drip such " +
        "as reset@0.05. May be repeated."
    ),
    Options.repeated
  ),
  answer: Options.text("answer").pipe(
    Options.withDescription(
      "The answer to every question. Default: tool calls and JSON that fit their schemas, else an echo of the question."
    ),
    Options.optional
  ),
  script: Options.text("script").pipe(
    Options.withPseudoName("file"),
    Options.withDescription(
      "Answers of the next requests, in JSON or YAML: texts, tool calls, errors and delays. Other requests, and those after " +
        "the last answer, are answered as without it."
    ),
    Options.optional
  ),
  json: Shared.json
}

export const command = Command.make("simulate", options)

export type Arguments = Command.Command.ParseConfig<typeof options>

export const summary =
  "Starts a simulated provider on this machine that supports every protocol, costs nothing and fails on demand. The first line of the output is its base URL."

export const examples = [
  "effect-llm simulate --port 8080 --latency 100-400 --pace 20",
  "effect-llm simulate --script answers.yaml",
  "effect-llm simulate --key good --fault 429@0.1 --fault reset@0.02"
]
