/// What people said of a job's results, the latest first.
struct ItemReviews {
    let reviews: [Item.Review]

    var html: HTML {
        guard !reviews.isEmpty else { return "" }
        let rows = reviews.map { review -> [HTML] in
            let word = ReviewPage.Verdict(rawValue: review.verdict)?.past ?? "Undone"
            let state =
                review.is_undone ? "undone" : review.is_current ? "of this result" : "of a result before this one"
            return [
                "\(review.id)", Parts.time(review.at), "\(review.reviewer.shortened(to: 80))", "\(word)",
                Parts.long((review.answer ?? "").shortened(to: 2000)), "\((review.note ?? "").shortened(to: 2000))",
                review.verdict == "undo" ? "" : "\(state)",
            ]
        }
        return "<h2>Reviews</h2>"
            + Parts.table(
                "Reviews", ["#Number", "At", "Reviewer", "Verdict", "Answer", "Note", "State"], rows, empty: "")
    }
}
