import Annotation
import Inference

/// Runs jobs with a model, the queries of all of them side by side: each asks what it asks of a daemon.
struct JobEngine: Sendable {
    /// A job that can be run: all is here.
    struct Job: Sendable {
        let spec: JobSpec
        /// Of each image URL.
        let images: [FoundImage]
        let adapter: Adapter?
        let maskDecoder: VAEMaskDecoder?
    }

    /// What a job came to.
    struct Answer: Sendable {
        let result: AnnotationResult
        /// With the tokens.
        let run: JobRun
    }

    /// Why a job came to nothing.
    struct Failure: Error {
        let reason: String
    }

    let model: PaliGemma

    /// Bytes of keys and values; a query that needs more is computed alone.
    private static let keyValueBytes = 1 << 30

    /// Runs jobs. It computes on the caller's thread and blocks it.
    /// - Parameter onEnd: gets the index of each job that has ended, and what it came to.
    func run(_ jobs: [Job], onEnd: (Int, Result<Answer, Failure>) -> Void) {
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(keyValueBytes: Self.keyValueBytes))
        let contexts = jobs.map(context)
        var runs = jobs.map { JobRun($0.spec) }
        var asked: [Int: (job: Int, query: TaskQuery)] = [:]
        var leftCounts = jobs.map { _ in 0 }
        var problems: [Int: String] = [:]
        var lastQuery = 0

        func ask(_ index: Int) {
            runs[index].plan(contexts[index])
            for query in runs[index].queries {
                lastQuery += 1
                leftCounts[index] += 1
                asked[lastQuery] = (index, query)
                scheduler.submit(Self.schedulerQuery(lastQuery, query, of: jobs[index]))
            }
        }
        for index in jobs.indices { ask(index) }
        while !scheduler.isIdle {
            for completion in scheduler.step() {
                let (index, query) = asked.removeValue(forKey: completion.id)!
                leftCounts[index] -= 1
                switch completion.result {
                case .success(let generations): runs[index].took(generations, query)
                case .failure(let error): problems[index] = error.message
                }
                guard leftCounts[index] == 0 else { continue }
                if let problem = problems[index] {
                    onEnd(index, .failure(Failure(reason: problem)))
                    continue
                }
                ask(index)
                if runs[index].queries.isEmpty { onEnd(index, Self.answer(of: runs[index], contexts[index])) }
            }
        }
    }

    private static func answer(of run: JobRun, _ context: TaskContext) -> Result<Answer, Failure> {
        do throws(NoResult) {
            return .success(Answer(result: try run.result(context), run: run))
        } catch {
            return .failure(Failure(reason: error.reason))
        }
    }

    private func context(_ job: Job) -> TaskContext {
        TaskContext(
            spec: job.spec,
            images: Dictionary(uniqueKeysWithValues: job.images.map(\.source).enumerated().map { ($0, $1) }),
            vocabulary: model.vocabulary, modelDigest: model.digest, maskDecoder: job.maskDecoder)
    }

    private static func schedulerQuery(_ id: Int, _ query: TaskQuery, of job: Job) -> Scheduler.Query {
        let images = query.images.map { index in
            let image = job.images[index]
            return Scheduler.Image(
                image.pixels, sha256: image.source.info.sha256, background: job.spec.background,
                drawnBox: job.spec.drawnBox)
        }
        return Scheduler.Query(
            id: id, images: images, prompt: query.prompt, settings: query.settings, options: query.options,
            // What asks on comes first: its images are still known.
            priority: query.stage > 1 ? -1 : 0, adapter: job.adapter)
    }
}
