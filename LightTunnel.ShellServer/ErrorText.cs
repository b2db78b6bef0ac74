using System.Management.Automation;

namespace LightTunnel.ShellServer;

/// <summary>Errors in the form that people read.</summary>
internal static class ErrorText
{
    /// <summary>The sentence that says what happened.</summary>
    public static string MessageOf(ErrorRecord error) => error.ErrorDetails?.Message ?? error.Exception.Message;

    /// <summary>What to do about it, or null.</summary>
    public static string? RecommendedActionOf(ErrorRecord error) =>
        string.IsNullOrWhiteSpace(error.ErrorDetails?.RecommendedAction) ? null : error.ErrorDetails.RecommendedAction;

    /// <summary>Two or three lines: command and message, what to do, and the id that scripts test for.</summary>
    public static string Format(ErrorRecord error)
    {
        string command = error.InvocationInfo?.MyCommand?.Name is { Length: > 0 } name ? name + ": " : string.Empty;
        string action = RecommendedActionOf(error) is { } text ? $"{Environment.NewLine}    {text}" : string.Empty;
        return $"{command}{MessageOf(error)}{action}{Environment.NewLine}    [{error.FullyQualifiedErrorId}, "
            + $"{error.CategoryInfo.Category}]";
    }

    /// <summary>The record inside an exception that ended a pipeline.</summary>
    public static ErrorRecord RecordOf(Exception exception) => exception is IContainsErrorRecord { ErrorRecord: { } record }
        ? record
        : new ErrorRecord(exception, exception.GetType().Name, ErrorCategory.InvalidOperation, null);
}
