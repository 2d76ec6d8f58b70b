import { describe, expect, it } from "@effect/vitest"
import { Array, Deferred, Effect, Exit, FastCheck, Fiber, FiberId, Option, Ref, Scheduler, TestClock } from "effect"
import * as KeyPool from "../src/KeyPool.js"

const { Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict
