/**
 * A capacity planner: workloads on an `LLM` in virtual time.
 *
 * @since 0.2.0
 */
export * as Simulation from "./Simulation.js"
