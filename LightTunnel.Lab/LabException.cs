namespace LightTunnel.Lab;

/// <summary>The laboratory cannot do what was asked: what happened, and what to do about it.</summary>
/// <param name="message">One sentence that names the culprit.</param>
/// <param name="recommendedAction">One sentence that says what to do.</param>
/// <param name="innerException">The cause, when there is one.</param>
internal sealed class LabException(string message, string recommendedAction, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>What to do about it.</summary>
    public string RecommendedAction { get; } = recommendedAction;
}
