extension Request {
    /// The rest of the fetch, at the redirect's target, which is judged like a first request. Throws what `FetchURL` throws,
    /// `tooManyRedirects`, `timeout`.
    func redirected(to target: String, after duration: Duration, policy: FetchPolicy) throws(ImageError) -> Request {
        var next = try spending(duration, policy)
        next.redirectCount += 1
        let limit = purpose == .robots ? Self.robotsRedirects : policy.maxRedirects
        guard next.redirectCount <= limit else {
            throw ImageError(.tooManyRedirects, "\(url.name) redirects again after \(limit) redirects")
        }
        next.url = try FetchURL(url.whole(target), policy: policy, redirectedFrom: url.name)
        next.visited.append(url.text)
        guard !next.visited.contains(next.url.text) else {
            throw ImageError(.tooManyRedirects, "\(url.name) redirects in a circle")
        }
        next.redirectedFrom = url.name
        next.signature = nil
        next.concessions = []
        return next
    }

    /// The same request, which does without something. Throws `timeout`.
    func repeated(
        without concession: Concession, after duration: Duration, policy: FetchPolicy
    ) throws(ImageError) -> Request {
        var next = try spending(duration, policy)
        next.concessions.insert(concession)
        return next
    }

    private func spending(_ duration: Duration, _ policy: FetchPolicy) throws(ImageError) -> Request {
        var next = self
        next.spent += duration
        guard next.spent < policy.totalTimeout else {
            throw ImageError(.timeout, "\(url.name) took longer than \(policy.totalTimeout)")
        }
        return next
    }
}
