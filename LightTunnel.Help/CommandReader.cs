using System.Reflection;
using System.Runtime.Loader;

namespace LightTunnel.Help;

/// <summary>A command as its class declares it.</summary>
/// <param name="Class">The class.</param>
/// <param name="Verb">"Get".</param>
/// <param name="Noun">"LtRoute".</param>
/// <param name="DefaultParameterSet">Name of the default parameter set, or null.</param>
/// <param name="Changes">Whether it has -WhatIf and -Confirm.</param>
/// <param name="Outputs">What it returns.</param>
/// <param name="Parameters">Its parameters, those of the base classes last.</param>
internal sealed record Command(
    Type Class, string Verb, string Noun, string? DefaultParameterSet, bool Changes, IReadOnlyList<Type> Outputs,
    IReadOnlyList<Parameter> Parameters)
{
    public string Name => $"{Verb}-{Noun}";
}

/// <summary>A parameter of a command.</summary>
/// <param name="Property">The property; its declaring class has the documentation.</param>
/// <param name="Aliases">Other names.</param>
/// <param name="Wildcards">Whether it takes wildcards.</param>
/// <param name="Range">The numbers that it takes, "1 to 3600", or null.</param>
/// <param name="Uses">One entry for each parameter set it belongs to; the set's name is null for all sets.</param>
internal sealed record Parameter(
    PropertyInfo Property, IReadOnlyList<string> Aliases, bool Wildcards, string? Range, IReadOnlyList<ParameterUse> Uses);

/// <summary>How a parameter belongs to a parameter set.</summary>
internal sealed record ParameterUse(string? Set, bool Mandatory, int? Position, bool FromPipeline, bool FromPipelineByName);

/// <summary>
/// Reads the commands of the module from metadata: attributes are read, never made, for the reference assembly of PowerShell has no code.
/// </summary>
internal sealed class CommandReader : IDisposable
{
    private readonly AssemblyLoadContext _context = new("module", isCollectible: true);
    private readonly Assembly _module;

    public CommandReader(string modulePath, string referenceFolder)
    {
        string[] folders = [Path.GetFullPath(referenceFolder), Path.GetDirectoryName(Path.GetFullPath(modulePath))!];
        _context.Resolving += (context, name) => folders
            .Select(folder => Path.Combine(folder, name.Name + ".dll"))
            .Where(File.Exists)
            .Select(context.LoadFromAssemblyPath)
            .FirstOrDefault();
        _module = _context.LoadFromAssemblyPath(Path.GetFullPath(modulePath));
    }

    public IReadOnlyList<Command> Commands() =>
        [.. _module.GetExportedTypes().Select(Read).OfType<Command>().OrderBy(command => command.Name, StringComparer.Ordinal)];

    public void Dispose() => _context.Unload();

    private static Command? Read(Type type)
    {
        CustomAttributeData? cmdlet = Attributes(type, "CmdletAttribute").FirstOrDefault();
        if (cmdlet is null)
            return null;
        return new Command(
            type,
            (string)cmdlet.ConstructorArguments[0].Value!,
            (string)cmdlet.ConstructorArguments[1].Value!,
            Named(cmdlet, "DefaultParameterSetName") as string,
            Named(cmdlet, "SupportsShouldProcess") is true,
            [.. Attributes(type, "OutputTypeAttribute").SelectMany(output => Types(output.ConstructorArguments[0].Value!))],
            [.. type.GetProperties().Select(Read).OfType<Parameter>().OrderBy(parameter => parameter.Property.DeclaringType != type)]);
    }

    private static Parameter? Read(PropertyInfo property)
    {
        ParameterUse[] uses = [.. Attributes(property, "ParameterAttribute").Select(attribute => new ParameterUse(
            Named(attribute, "ParameterSetName") as string,
            Named(attribute, "Mandatory") is true,
            Named(attribute, "Position") as int?,
            Named(attribute, "ValueFromPipeline") is true,
            Named(attribute, "ValueFromPipelineByPropertyName") is true))];
        if (uses.Length == 0)
            return null;
        return new Parameter(
            property,
            [.. Attributes(property, "AliasAttribute").SelectMany(alias =>
                ((IEnumerable<CustomAttributeTypedArgument>)alias.ConstructorArguments[0].Value!).Select(name => (string)name.Value!))],
            Attributes(property, "SupportsWildcardsAttribute").Any(),
            Attributes(property, "ValidateRangeAttribute")
                .Select(range => $"{range.ConstructorArguments[0].Value} to {range.ConstructorArguments[1].Value}")
                .FirstOrDefault(),
            uses);
    }

    private static IEnumerable<Type> Types(object value) => value is IEnumerable<CustomAttributeTypedArgument> several
        ? several.Select(type => (Type)type.Value!)
        : [(Type)value];

    private static IEnumerable<CustomAttributeData> Attributes(MemberInfo member, string name) =>
        member.GetCustomAttributesData().Where(attribute => attribute.AttributeType.Name == name);

    private static object? Named(CustomAttributeData attribute, string name) =>
        attribute.NamedArguments.FirstOrDefault(argument => argument.MemberName == name).TypedValue.Value;
}
