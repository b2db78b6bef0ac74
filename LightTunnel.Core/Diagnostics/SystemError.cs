using System.Runtime.InteropServices;

namespace LightTunnel.Diagnostics;

/// <summary>A system's error in words, to stand within a sentence.</summary>
internal static class SystemError
{
    /// <summary>"The parameter is incorrect (error 87)"; only "error 4242" where the system has no words for it.</summary>
    public static string Describe(int error) => Describe(error, Marshal.GetPInvokeErrorMessage(error));

    /// <summary>The same, of what the system says: a sentence, or that it does not know the number.</summary>
    internal static string Describe(int error, string message)
    {
        string text = message.Trim().TrimEnd('.');
        return text.Length == 0 || text.StartsWith("Unknown error", StringComparison.OrdinalIgnoreCase)
            ? $"error {error}"
            : $"{text} (error {error})";
    }
}
