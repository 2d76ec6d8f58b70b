/** Prints the metrics of some calls in Prometheus' text format, as input of promtool. */
import { Console, Effect } from "effect"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import { meteredCalls } from "./meteredCalls.js"

Effect.runFork(meteredCalls({ aliases: true }).pipe(Effect.zipRight(Prometheus.text), Effect.flatMap(Console.log)))
