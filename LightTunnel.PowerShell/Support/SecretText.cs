using System.Management.Automation;
using System.Net;
using System.Security;
using System.Text.RegularExpressions;
using LightTunnel.Configuration;

namespace LightTunnel;

/// <summary>
/// Takes a secret as a SecureString, as text, as the lines that Get-Content made of a file, or as the object that a command made.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SecretTextAttribute : ArgumentTransformationAttribute
{
    /// <summary>Takes empty text as well, for lines that come one by one; the command looks at the whole.</summary>
    public bool AllowEmpty { get; init; }

    /// <summary>Never names the value: it may be the secret.</summary>
    public override object Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        object? value = Plain(inputData);
        if (value is object[] { Length: > 0 } several && Array.ConvertAll(several, Plain) is var lines
            && Array.TrueForAll(lines, line => line is string))
        {
            value = string.Join('\n', lines);
        }
        return value switch
        {
            SecureString secret when secret.Length > 0 => secret,
            SecureString secret when AllowEmpty => secret,
            string text when text.StartsWith(SecretText.NotCarried, StringComparison.Ordinal) =>
                throw new ArgumentTransformationMetadataException(
                    "It came through a job, a remote session or a file, which do not carry secrets. Let the job return its text: "
                        + "\"$(New-LtInvitation)\"."),
            string text when AllowEmpty || !string.IsNullOrWhiteSpace(text) => SecretText.Protect(text.Trim()),
            LtInvitation or LtNetworkKey => SecretText.Protect(value.ToString()!),
            null or string or SecureString => throw new ArgumentTransformationMetadataException(
                "It is empty. Give the secret as text or as a SecureString."),
            _ => throw new ArgumentTransformationMetadataException(
                $"A value of type {value.GetType().Name} is no secret. Give the secret as text or as a SecureString."),
        };
    }

    private static object? Plain(object? value) => value is PSObject wrapped ? wrapped.BaseObject : value;
}

/// <summary>
/// Of what is no text: refuses a secret that stands in the wrong place, before PowerShell tries to make a number of it and repeats
/// it in its error.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NotSecretAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData) => IsSecret(inputData)
        ? throw new ArgumentTransformationMetadataException(
            "It is an invitation or a key, which is not shown. Give it to the parameter that it is for: -Invitation or -NetworkKey.")
        : inputData;

    private static bool IsSecret(object? value) => (value is PSObject wrapped ? wrapped.BaseObject : value) switch
    {
        LtInvitation or LtNetworkKey or LtWireGuardClient => true,
        string text => SecretText.Hide(text) != text,
        object[] several => Array.Exists(several, IsSecret),
        _ => false,
    };
}

internal static partial class SecretText
{
    /// <summary>Beginning of what serialization keeps of a secret (LightTunnel.Types.ps1xml).</summary>
    public const string NotCarried = "(secret not carried";

    public static SecureString Protect(string text)
    {
        var secret = new SecureString();
        foreach (char character in text)
            secret.AppendChar(character);
        secret.MakeReadOnly();
        return secret;
    }

    /// <summary>
    /// The text without what looks like an invitation or a key: a value that was refused is named in its error, which secrets must not be.
    /// </summary>
    public static string Hide(string text) => Key().Replace(Invitation().Replace(text, "lt1:(hidden)"), "(hidden: a key)");

    /// <summary>The secret as the engine takes it; null stays null.</summary>
    public static Secret? ToSecret(SecureString? secret) =>
        secret is null ? null : new Secret(new NetworkCredential(string.Empty, secret).Password);

    [GeneratedRegex("lt(sign)?[0-9]+:[A-Za-z0-9_-]{20,}", RegexOptions.IgnoreCase)]
    private static partial Regex Invitation();

    /// <summary>32 bytes in base64.</summary>
    [GeneratedRegex("(?<![A-Za-z0-9+])[A-Za-z0-9+/]{43}=")]
    private static partial Regex Key();
}
